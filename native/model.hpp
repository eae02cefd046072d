// What the engine is asked to do, and the door it is asked through. No arithmetic, no Python, no instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nineline {

using Index = std::ptrdiff_t;

class Team;

// The names are those of nineline.activations.ACTIVATIONS and nineline.losses.LOSSES.
enum class Activation {
  identity, sigmoid, tanh, relu, leaky_relu, elu, selu, softplus, exponential, silu, mish, gelu, softmax
};
inline constexpr const char* activation_names[] = {
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu",
    "softplus", "exponential", "silu", "mish", "gelu", "softmax"};

enum class Loss { squared_error, absolute_error, huber, quantile, poisson, binary_cross_entropy, cross_entropy };
inline constexpr const char* loss_names[] = {
    "squared_error", "absolute_error", "huber", "quantile", "poisson", "binary_cross_entropy", "cross_entropy"};

enum class Rule { gradient_descent, rmsprop, adam };
inline constexpr const char* rule_names[] = {"gradient_descent", "rmsprop", "adam"};

// One layer. A dense one has inputs, outputs and an activation; dropout has a rate and passes its width on.
struct LayerPlan {
  bool dense = true;
  Index inputs = 0, outputs = 0;
  bool bias = false;
  Activation activation = Activation::identity;
  double setting = 0;  // the slope of leaky_relu, the alpha of elu
  double rate = 0;     // of dropout
  double weights_factor = 1, bias_factor = 1;  // of the learning rate
};

struct LossPlan {
  Loss kind = Loss::squared_error;
  double setting = 0;  // the delta of huber, the level of quantile
  bool mean = true;    // over the rows of a batch, or their sum
};

struct RulePlan {
  Rule kind = Rule::gradient_descent;
  double momentum = 0;  // of gradient descent
  bool nesterov = false;
  double beta_1 = 0, beta_2 = 0, epsilon = 0;  // of adam; rmsprop's decay is beta_2
  bool epsilon_hat = false;                    // added to a root that is not yet corrected
  double weight_decay = 0;
  double l1 = 0, l2 = 0;         // 0: none
  bool penalty_by_rows = false;  // divided by the weight of a batch's rows
  double clip_norm = 0;          // 0: none
  std::uint64_t seed = 0;
};

// How many vectors as long as the parameters a rule remembers: a velocity, a mean square, a mean and a mean square.
inline int memory_size(const RulePlan& rule) {
  if (rule.kind == Rule::gradient_descent) return rule.momentum != 0 ? 1 : 0;
  return rule.kind == Rule::rmsprop ? 1 : 2;
}

// Rows of data, C-contiguous: inputs (rows, n_inputs), targets (rows, n_outputs), weights (rows) or null.
struct Data {
  const void* inputs = nullptr;
  const void* targets = nullptr;
  const void* weights = nullptr;
  Index rows = 0;
};

// The steps of one call: step i takes rows order[i * batch_size ...] (all rows where order is null) at rates[i].
struct Steps {
  const Index* order = nullptr;
  Index order_size = 0, batch_size = 0;
  const double* rates = nullptr;
  Index count = 0;
  std::uint64_t first = 0;  // the number of steps taken before
};

// Asked now and then by the thread that called; true ends the work as soon as possible.
struct Interrupt {
  bool (*asked)(void*) = nullptr;
  void* context = nullptr;
};

// A network laid out for speed, for numbers of one type and one instruction set. Its vectors are the caller's: the
// parameters, flat as in Python, and the memory of the rule, as many vectors as memory_size says.
class Model {
 public:
  virtual ~Model() = default;
  // Returns how many losses were written. Where one is not finite it is the last, and its step was not taken;
  // where the caller was interrupted, there are fewer than asked for.
  virtual Index steps(void* parameters, void* const* memory, const Data&, const Steps&, double* losses, Team&,
                      const Interrupt&) = 0;
  // Returns the loss of all rows as step number `step` would see it, penalties included, and writes its gradient.
  virtual double gradient(const void* parameters, const Data&, std::uint64_t step, void* gradient, Team&,
                          const Interrupt&) = 0;
  // Puts the parameters back to those before the last step.
  virtual void undo(void* parameters) = 0;
  // Returns the loss of the network as it runs.
  virtual double evaluate(const void* parameters, const Data&, Team&, const Interrupt&) = 0;
  // Writes the outputs, (rows, n_outputs).
  virtual void run(const void* parameters, const void* inputs, Index rows, void* outputs, Team&, const Interrupt&) = 0;
};

}  // namespace nineline
