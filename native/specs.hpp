// What the engine is asked to do, in numbers and pointers. No arithmetic, no Python, no instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nineline {

using Index = std::ptrdiff_t;

// A kind of layer, activation, loss or optimizer is a place in the list of its classes: `Kinds` in kinds.hpp,
// `Activations` in activations.hpp, `Losses` in losses.hpp, `Optimizers` in optimizers.hpp.
enum class Kind : int {};
enum class Activation : int {};
enum class Loss : int {};
enum class Optimizer : int {};

// What targets a loss takes: any numbers; such as are not negative; such as are in [0, 1]; or rows of those that sum
// to 1, which may be given as class numbers.
enum class Targets { any, not_negative, shares, distributions };

// One layer, of what kind it is, how wide, and what is asked of a layer of that kind.
struct LayerSpec {
  Kind kind{};
  Index inputs = 0, outputs = 0;
  // dense
  bool bias = false;
  Activation activation{};
  double setting = 0;  // the slope of leaky_relu, the alpha of elu
  // dropout
  double rate = 0;
  std::uint64_t draws = 0;  // what its draws are keyed by: its number among the layers
  // layer_norm
  double epsilon = 0;
  // embedding
  const Index *levels = nullptr, *widths = nullptr;  // of each column of whole numbers
  Index columns = 0;                                 // how many there are; plain numbers follow
  // shortcut
  Index from = -1;  // the layer whose outputs it adds to its inputs; -1: the data
};

struct LossSpec {
  Loss kind{};
  double setting = 0;  // the delta of huber, the level of quantile
  bool mean = true;    // over the rows of a batch, or their sum
  const double* settings = nullptr;  // in place of the setting one for each output, or null
  Index setting_count = 0;
};

struct RuleSpec {
  Optimizer kind{};
  double momentum = 0;
  bool nesterov = false;
  double beta_1 = 0, beta_2 = 0, epsilon = 0;  // of adam; rmsprop's decay is beta_2
  bool epsilon_hat = false;                    // added to a root that is not yet corrected
  double weight_decay = 0;
  double l1 = 0, l2 = 0;         // 0: none
  bool penalty_by_rows = false;  // divided by the weight of a batch's rows
  double clip_norm = 0;          // 0: none
  std::uint64_t seed = 0;
};

inline constexpr int most_moments = 2;  // vectors as long as the parameters that an optimizer remembers

// What a number or a level of a compact row becomes: `width` inputs from `place` on.
struct EncodingPart {
  bool level = false;    // or a number
  Index column = 0;      // which of the row's levels, or numbers, it is
  Index place = 0, width = 0;
  Index levels = 0;      // of a level: how many there are; 0: its number is the input
  const double* edges = nullptr;  // of a number: between its intervals
  Index edge_count = 0;          // none or at least two
  bool bent = false, missing = false;
  Index first_sum = 0;   // of the running sums over its intervals
};

// What compact rows become, by ascending place.
struct Encoding {
  const EncodingPart* parts = nullptr;
  Index part_count = 0;
  Index numbers = 0, levels = 0;  // how many a row has
  Index width = 0;                // how many inputs it becomes
  Index sums = 0;                 // running sums in all: one for each interval
  Index most_entries = 0;         // inputs of a row that are not zero
};

// Rows to learn from or to be judged by, C-contiguous. Twin: src/nineline/rows.py.
struct Rows {
  Index count = 0;
  const void* inputs = nullptr;             // (rows, n_inputs); of sparse rows what is not zero, one row after another
  const Encoding* encoding = nullptr;       // of compact rows; else null
  const void* numbers = nullptr;            // then (rows, numbers), NaN where one is missing
  bool double_numbers = false;              // or they are of float
  const std::int32_t* levels = nullptr;     // and (rows, levels)
  const std::int32_t* columns = nullptr;    // of sparse rows the column of each entry, ascending in a row; else null
  const std::int64_t* begins = nullptr;     // (rows + 1): the entries of row i begin at begins[i]
  const void* targets = nullptr;            // (rows, n_outputs)
  const std::int64_t* classes = nullptr;    // or (rows): the number of the only output whose target is 1
  const void* weights = nullptr;            // (rows), or null: what each counts

  Index number_bytes() const { return double_numbers ? sizeof(double) : sizeof(float); }
};

// Others who have rows of the same batches: a gradient is added up with theirs before a step is taken by it.
struct Others {
  static constexpr Index behind = 3;  // the gradient: the loss, what the rows weigh, and a place for whoever adds up
  // Adds up in place; false where the caller is to be left.
  bool (*add_up)(void* context, void* gradient, Index size) = nullptr;
  void* context = nullptr;
  bool mean = false;  // the loss is over all that the rows weigh
};

// The steps of one call: step i takes rows order[i * batch_size ...] (all rows where order is null) at rates[i]. Where
// others have rows of a batch, -1 behind its rows is no row, and there may be none here.
struct Steps {
  const Index* order = nullptr;
  Index order_size = 0, batch_size = 0;  // 0: each step takes all of the order
  const double* rates = nullptr;
  Index count = 0;
  const Others* others = nullptr;  // with a loss that is a sum, without penalties
};

// Networks of one shape: some of those that lie one behind the other in vectors of (networks, parameters).
struct Members {
  Index count = 0;
  const Index* which = nullptr;               // their numbers there
  void *parameters = nullptr, *before = nullptr;  // before the last step
  void* moments[most_moments] = {};
  // Of every network there, or null: nothing, and no penalty.
  std::uint64_t* steps_taken = nullptr;       // of all members as many
  const std::uint64_t* seeds = nullptr;
  const double *rates = nullptr, *l1 = nullptr, *l2 = nullptr;
};

// The steps that they take in one call: the rows of each, and what its learning rate is multiplied by at each step.
struct ManySteps {
  const Index* order = nullptr;   // null: all rows as they lie
  Index order_size = 0;
  const Index* begins = nullptr;  // member i takes order[begins[i] ... begins[i + 1]]; null: every one takes all of it
  Index batch_size = 0;           // so many at a step, as many batches for every member; 0: all at each step
  const double* factors = nullptr;
  Index count = 0;
  Index losses_stride = 0;  // from the losses of one member to those of the next
};

// Asked now and then by the thread that called; true ends the work as soon as possible.
struct Interrupt {
  bool (*asked)(void*) = nullptr;
  void* context = nullptr;
};

}  // namespace nineline
