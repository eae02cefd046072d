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
  // Returns the loss of all rows as the next step would see it, penalties included, and writes its gradient.
  virtual double gradient(const Rows&, const LossSpec&, void* into, Team&, const Interrupt&) = 0;
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

// A network laid out for numbers of one type and one instruction set. It never changes, so any number of trainings
// and runners may share it, as long as it lives longer than they.
class Layout {
 public:
  virtual ~Layout() = default;
  // `factors` are those of each block, as Python has them one after another; one of 0 does not learn.
  virtual Training* train(const LossSpec&, const RuleSpec&, const double* factors, void* flat) const = 0;
  virtual Index block_count() const = 0;
  virtual Runner* run() const = 0;
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
  Index parameters_of(const LayerSpec&);                                                                      \
  }
NINELINE_DOORS(baseline)
NINELINE_DOORS(avx2)
NINELINE_DOORS(avx512)
#undef NINELINE_DOORS

}  // namespace nineline
