// The doors of the engine, one for each instruction set it was compiled for.
#pragma once

#include "specs.hpp"

namespace nineline {

class Team;

// A network that is trained by a rule: parameters and what the optimizer remembers, laid out for speed and kept from
// call to call. `flat` is the caller's vector of parameters. Every call begins with what it holds then, and a call that
// moves writes it; what the caller has changed in between is found by comparing. Vectors of an embedding lie in the
// caller's memory alone, and are moved there.
class Training {
 public:
  virtual ~Training() = default;
  // Returns how many losses were written. Where one is not finite it is the last, and its step was not taken;
  // where the caller was interrupted, there are fewer than asked for.
  virtual Index steps(const Rows&, const Steps&, double* losses, Team&, const Interrupt&) = 0;
  // Returns the loss of the rows of an order, all where it is null, as the next step would see it, penalties included,
  // and writes its gradient.
  virtual double gradient(const Rows&, const Index* order, Index count, const LossSpec&, void* into, Team&,
                          const Interrupt&) = 0;
  // Takes the step that follows from a gradient.
  virtual void move(const void* gradient, double rate, Team&) = 0;
  // Takes the last step back; false where there is none.
  virtual bool undo() = 0;
  // Writes the parameters before the last step; before the first, the parameters as they are.
  virtual void before(void* into) const = 0;
  // Returns the loss of the network as it runs.
  virtual double evaluate(const Rows&, Team&, const Interrupt&) = 0;

  // The vectors that the optimizer remembers, flat as the parameters are: how many, and a copy of them.
  virtual int moments() const = 0;
  virtual void read(void* const* moments) const = 0;
  // Goes on where another training was: with its moments, and the parameters before its last step.
  virtual void write(const void* const* moments, const void* before, std::uint64_t steps_taken) = 0;
  // Goes on with another vector of parameters. Not where there is an embedding.
  virtual void attach(void* flat) = 0;

  std::uint64_t steps_taken = 0;
  std::uint64_t seed = 0;
};

// A network that answers. It may be asked by one thread at a time.
class Runner {
 public:
  virtual ~Runner() = default;
  // Writes the outputs, (rows, n_outputs); the targets of the rows are not looked at.
  virtual void run(const void* parameters, const Rows&, void* outputs, Team&, const Interrupt&) = 0;
  // Whether the memory that it holds is little enough to wait for the next call.
  virtual bool worth_keeping() const = 0;
};

// A network that is differentiated by its inputs. It may be asked by one thread at a time.
class Differentiator {
 public:
  virtual ~Differentiator() = default;
  // Writes d outputs / d inputs, (rows, n_outputs, n_inputs), of dense rows; false where it does not know how.
  virtual bool jacobian(const void* parameters, const Rows&, void* into, Team&, const Interrupt&) = 0;
  // Writes the second derivatives of one output by the inputs, (rows, n_inputs, n_inputs), of dense rows; false where it
  // does not know how.
  virtual bool hessian(const void* parameters, const Rows&, Index output, void* into, Team&, const Interrupt&) = 0;
  // Whether the memory that it holds is little enough to wait for the next call.
  virtual bool worth_keeping() const = 0;
};

// Networks of one shape that are trained side by side. What each has of its own comes with each call.
class Many {
 public:
  virtual ~Many() = default;
  // Writes the loss of each member before each step, (members, steps), and how many; NaN where there is none. Where one is not finite it is
  // that network's last, and its parameters are those before the step that led there. Where the caller was interrupted,
  // networks come as far as they come.
  virtual void steps(const Rows&, const Members&, const ManySteps&, double* losses, Index* done, Team&,
                     const Interrupt&) = 0;
  // Writes the loss of each member as it runs, on the rows that its first step would take.
  virtual void evaluate(const Rows&, const Members&, const ManySteps&, double* losses, Team&, const Interrupt&) = 0;
  // Writes what each member answers for those, (members, rows, n_outputs).
  virtual void run(const Rows&, const Members&, const ManySteps&, void* outputs, Team&, const Interrupt&) = 0;
};

// The loss of some rows around the parameters to second order, as Gauss and Newton see it; all in double.
class Curvature {
 public:
  struct Measured {
    double loss, squares, steepest;
  };
  struct Trial {
    double foreseen, loss, squares;
  };
  // Levenberg and Marquardt's method for some iterations: where it ends, how it damps, and how it went.
  struct Descent {
    enum Why { going_on, goal_reached, flat, no_damping, interrupted };
    double goal, min_gradient, max_damping;
    double damping, growth;
    double damping_before = 0, growth_before = 0;  // the last iteration
    Why why = going_on;
  };
  virtual ~Curvature() = default;
  // How many parameters learn, and of each the largest diagonal of J'J so far.
  virtual Index size() const = 0;
  virtual double* scaling() = 0;
  // Finds loss, gradient and J'J where the caller's parameters are now.
  virtual Measured measure(const Rows&, double decay, Team&, const Interrupt&) = 0;
  // Moves the caller's parameters by the damped step from there; false where the matrix is not positive definite.
  virtual bool step(const Rows&, double damping, double decay, Trial&, Team&, const Interrupt&) = 0;
  // Puts them back.
  virtual void back() = 0;
  // Takes up to `count` iterations, and writes the loss before each and the damping of its step; returns how many.
  virtual Index descend(const Rows&, Descent&, Index count, double* losses, double* dampings, Team&, const Interrupt&) = 0;
  // The parameters and the scaling before the last iteration.
  virtual const double* point() const = 0;
  virtual const double* scaling_before() const = 0;
  virtual double effective_parameters(double decay, Team&) = 0;
};

// A network laid out for numbers of one type and one instruction set. It never changes, so any number of trainings
// and runners may share it, as long as it lives longer than they.
class Layout {
 public:
  virtual ~Layout() = default;
  // `factors` are those of each block, as Python has them one after another; one of 0 does not learn.
  virtual Training* train(const LossSpec&, const RuleSpec&, const double* factors, void* flat) const = 0;
  // Null where networks with these layers are not trained side by side in the lanes of vectors.
  virtual Many* many(const LossSpec&, const RuleSpec&, const double* factors) const = 0;
  virtual Index block_count() const = 0;
  virtual Runner* run() const = 0;
  virtual Differentiator* differentiate() const = 0;
  // Of a network in double; null where it is in float.
  virtual Curvature* bend(const LossSpec&, const RuleSpec&, const double* factors, void* flat) const = 0;
};

// The names of the kinds, in the order of their lists; null ends each.
struct Names {
  const char *const *kinds, *const *activations, *const *losses, *const *optimizers;
};

#define NINELINE_DOORS(level)                                                                                 \
  namespace level {                                                                                           \
  Layout* make_layout(bool single, const LayerSpec* layers, Index count);                                     \
  bool apply(const char* function, bool single, const void* from, void* to, Index count);                     \
  Names names();                                                                                              \
  bool fits(Loss, Activation output);                                                                         \
  Targets targets_of(Loss);                                                                                   \
  bool has_setting_of_each(Loss);                                                                             \
  Index parameters_of(const LayerSpec&);                                                                      \
  }
NINELINE_DOORS(baseline)
NINELINE_DOORS(avx2)
NINELINE_DOORS(avx512)
NINELINE_DOORS(neon)
#undef NINELINE_DOORS

}  // namespace nineline
