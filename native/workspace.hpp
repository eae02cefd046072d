// Rows on their way through the network, and their errors on the way back.
//
// Twins: loss_and_gradients in src/nineline/engines/reference.py, Network.forward in src/nineline/network.py.
#pragma once

#include "compact.hpp"
#include "layout.hpp"

namespace nineline::NINELINE_LEVEL {

// A span of rows: where they begin in a Workspace, how many they are, and the number that the first has in its batch.
struct Span {
  Index first, rows, in_batch;
};

enum class Purpose { training, answering };

// Where rows lie at a layer: what it is given, what it makes of that, and its errors; z are the outputs where they are
// not kept.
template <class T>
struct Memory {
  RowList<T> inputs, rows_of_errors;
  T *z, *outputs, *errors;
};

// What every layer makes of some rows, and its errors: room for a whole batch, or for a tile at a time.
template <class T>
class Workspace {
 public:
  Workspace(const Layout<T>& layout, Index room, Purpose purpose)
      : layout_{&layout}, room_{room}, inputs{room}, sparse{room}, outputs_{layout.count()}, errors_{layout.count()},
        z_{layout.count()}, beside_{layout.count()} {
    const bool training = purpose == Purpose::training;
    for (Index l = 0; l < layout.count(); ++l) {
      const Layer& at = layout.layer(l);
      if (runs(at.kind) || training) outputs_[l] = Tile<T>{room, at.stride};
      if (!training) continue;
      errors_[l] = Tile<T>{room, at.stride};
      if (at.keeps_z) z_[l] = Array<T>{room * at.stride};
      if (at.beside > 0) beside_[l] = Array<T>{room * at.beside};
    }
    if (!training) return;
    targets = Array<T>{room * layout.last().stride};
    factors = Array<T>{room * layout.last().stride};
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  Index room() const { return room_; }
  const T* answers() const { return outputs_[layout_->count() - 1].data(); }

  // Takes rows that lie in `inputs` or `sparse` forward; `parameters[l]` are those of layer l.
  void forward(const T* const* parameters, Index rows) {
    for (Index l = first(); l < layout_->count(); ++l)
      if (runs(layout_->layer(l).kind)) forward(l, parameters[l], {0, rows, 0}, nullptr);
  }

  // The same as training sees it, where dropout draws.
  void forward_in_training(const T* const* parameters, const Span& span, const Drawing& drawing) {
    for (Index l = first(); l < layout_->count(); ++l) forward(l, parameters[l], span, &drawing);
  }

  Memory<T> memory(Index l) const {
    T* const outputs = outputs_[l].data();
    return {rows_of(l - 1, 0), errors_[l].rows(), z_[l] ? z_[l].data() : outputs, outputs, errors_[l].data()};
  }

  // The loss of rows that went forward; their errors stay here.
  T measure(const LossSpec& loss, Index first, Index rows) {
    const Layer& last = layout_->last();
    const Index l = layout_->count() - 1, begin = first * last.stride;
    const Outputs<T> at{z(l, first), outputs_[l].row(first), targets.data() + begin, factors.data() + begin, rows,
                        last.outputs, last.stride};
    return NINELINE_LEVEL::measure(loss, last.activation, T(last.setting), at, errors_[l].row(first));
  }

  // Takes the errors back to layer number `lowest`: those of a dense layer are of its weighted sums in the end, those of
  // any other of its outputs.
  void backward(const T* const* parameters, const T* const* turned_over, const Span& span, Index lowest) {
    const Index first = span.first, rows = span.rows;
    for (Index l = layout_->count() - 1; l > lowest; --l) {
      const Layer &at = layout_->layer(l), &lower = layout_->layer(l - 1);
      const bool dense = is<Dense>(lower.kind);
      const T *const sums = z(l - 1, first), *const outputs = outputs_[l - 1].row(first);
      const Below<T> below{lower, dense && !lower.goes_on_elsewhere, sums, outputs};
      T* const errors = errors_[l - 1].row(first);
      bool through = false;
      with_kind(at.kind, [&](auto kind) {
        through = kind.backward(at, stage(l, parameters[l], span, &undrawn), turned_over[l], errors_[l].rows(first),
                                below, errors);
      });
      if (lower.goes_on_elsewhere)
        for (Index end = l + 1; end < layout_->count(); ++end)
          if (is<Shortcut>(layout_->layer(end).kind) && layout_->layer(end).from == l - 1)
            Shortcut::add_errors(errors_[end].rows(first), rows, lower.outputs, lower.stride, errors);
      if (dense && !through)
        carry_back(lower.activation, T(lower.setting), sums, outputs, errors, rows, lower.outputs, lower.stride);
    }
  }

  // A block of a layer's gradient, from the first rows of a batch that is held; where `weights` or `bias` are null, it
  // is not asked for.
  void learn(Index l, Index rows, const Block& block, Matrix<T> weights, T* bias) const {
    if (reads_entries(l)) {
      if (weights.data != nullptr)
        columns_times(by_column, block.first_row, block.rows, errors_[l].rows(), block.first_column, block.columns, weights);
      weights.data = nullptr;
    }
    learn(l, rows, block, false, weights, bias);
  }

  // A whole layer's, (+)= from the rows of a tile, as it lies in a padded vector.
  // `sums` are the gradients by the running sums, where there are some.
  void learn(Index l, Index rows, bool adding, T* weights, T* bias, T* sums, Index sum_count) const {
    const Layer& at = layout_->layer(l);
    const Index stride = at.stride_of_weights();
    if (reads_entries(l) && weights != nullptr) {
      if (!adding) {
        __builtin_memset(weights, 0, at.weights * sizeof(T));
        if (sum_count > 0) __builtin_memset(sums, 0, sum_count * stride * sizeof(T));
      }
      add_columns_times<T>(sparse.data(), errors_[l].rows(), rows, {weights, sums, at.inputs, stride});
      weights = nullptr;
    }
    learn(l, rows, {0, at.rows_of_weights(), 0, stride}, adding, {weights, stride}, bias);
  }

  // The gradient by some of the running sums, from the first rows of a batch that is held.
  void learn_sums(Index first, Index count, T* to) const {
    const Layer& at = layout_->layer(layout_->reader());
    columns_times(by_column, at.inputs + first, count, errors_[layout_->reader()].rows(), 0, at.stride, {to, at.stride});
  }

  // Derivatives of a network as it runs: each row stands once for each of its outputs, and goes back with an error there.

  // Takes over what rows of another workspace have become, each once for each output.
  void copy_for_each_output(const Workspace& from, Index rows) {
    const Index times = layout_->outputs();
    for (Index l = 0; l < layout_->count(); ++l) {
      const Layer& at = layout_->layer(l);
      if (!runs(at.kind)) continue;
      for (Index r = 0; r < rows; ++r)
        for (Index row = r * times; row < (r + 1) * times; ++row) {
          copy_row(from.outputs_[l].row(r), at.stride, outputs_[l].row(row));
          if (z_[l]) copy_row(from.z(l, r), at.stride, z_[l].data() + row * at.stride);
          if (beside_[l]) copy_row(from.beside_[l].data() + r * at.beside, at.beside, beside_[l].data() + row * at.beside);
        }
    }
  }

  // Begins the way back with an error of scale(r, o) at output o of row r, which is there once for each output; with
  // `joined` beyond its activation.
  template <class Scale>
  void begin_with_each_output(Index rows, bool joined, const Scale& scale) {
    const Index l = layout_->count() - 1, outputs = layout_->outputs();
    const Layer& last = layout_->layer(l);
    T* const errors = errors_[l].data();
    __builtin_memset(errors, 0, rows * outputs * last.stride * sizeof(T));
    for (Index r = 0; r < rows; ++r)
      for (Index o = 0; o < outputs; ++o) errors[(r * outputs + o) * last.stride + o] = scale(r, o);
    if (!joined)
      carry_back(last.activation, T(last.setting), z(l, 0), outputs_[l].data(), errors, rows * outputs, outputs, last.stride);
    else if (is<Softmax>(last.activation))
      for (Index p = 0; p < rows * outputs; ++p)
        for (Index o = 0; o < outputs; ++o) errors[p * last.stride + o] -= scale(p / outputs, p % outputs) * outputs_[l].row(p)[o];
    for (Index d = 0; d < l; ++d)  // dropout passes on what comes
      if (!runs(layout_->layer(d).kind))
        for (Index i = 0; i < rows * outputs * layout_->layer(d).beside; ++i) beside_[d][i] = 1;
  }

  // The errors of the data, rows side by side, once those of the first layer that is there are known. There must be room
  // for rows of its `input_stride`.
  void errors_of_data(const T* const* parameters, Index rows, T* to) const {
    const Index l = layout_->first_running();
    const Layer& at = layout_->layer(l);
    const Below<T> nothing{at, false, nullptr, nullptr};
    const T* const not_turned = nullptr;
    with_kind(at.kind, [&](auto kind) {
      kind.backward(at, stage(l, parameters[l], {0, rows, 0}, &undrawn), not_turned, errors_[l].rows(), nothing, to);
    });
    if (!is<Dense>(at.kind))  // which writes them side by side
      for (Index r = 1; r < rows; ++r) __builtin_memmove(to + r * at.inputs, to + r * at.input_stride, at.inputs * sizeof(T));
    for (Index end = l; end < layout_->count(); ++end)
      if (is<Shortcut>(layout_->layer(end).kind) && source(layout_->layer(end).from, nullptr) < 0)
        Shortcut::add_errors(errors_[end].rows(), rows, layout_->inputs(), layout_->inputs(), to);
  }

  const T* sums_of(Index l, Index r) const { return z_[l] ? z(l, r) : nullptr; }
  const T* outputs_of(Index l, Index r) const { return outputs_[l].row(r); }
  const T* errors_of(Index l, Index r) const { return errors_[l].row(r); }
  const T* beside_of(Index l, Index r) const {
    return beside_[l] ? beside_[l].data() + r * layout_->layer(l).beside : nullptr;
  }

  // The rows that a layer is given when the network runs; null where those are sparse.
  RowList<T> inputs_of(Index l) const { return rows_of(source(l - 1, nullptr), 0); }
  // One of those, spread out.
  const T* spread_out(Index l, Index r, T* room) const {
    Stage<T>::copy_of(nullptr, sparse.data(), r, layout_->layer(l).inputs, room);
    return room;
  }

  // The level of a row in a column of an embedding.
  Index level(Index r, int column) const {
    return is_compact ? Index(levels[r][column]) : Index(inputs[r][column]);
  }

  // The errors of an embedding's outputs.
  RowList<T> errors_of_vectors() const { return errors_[0].rows(); }

 private:
  static constexpr Drawing undrawn{};  // what has been drawn is kept beside the outputs

  const T* z(Index l, Index first) const {
    return z_[l] ? z_[l].data() + first * layout_->layer(l).stride : nullptr;
  }

  // The layer whose outputs a layer is given that reads those of layer l: dropout is not there when the network runs.
  Index source(Index l, const Drawing* drawing) const {
    while (drawing == nullptr && l >= 0 && !runs(layout_->layer(l).kind)) --l;
    return l;
  }

  // The layer that reads the data; an embedding's vectors are among the entries of compact rows already.
  Index first() const { return is_compact && is_sparse ? layout_->reader() : 0; }
  bool reads_entries(Index l) const { return is_sparse && l == first() && is<Dense>(layout_->layer(l).kind); }

  // Rows of the outputs of a layer, or of the data where there is none; null where those are sparse.
  RowList<T> rows_of(Index l, Index first_row) const {
    return l >= first() ? outputs_[l].rows(first_row) : is_sparse ? nullptr : inputs.data() + first_row;
  }

  // Made where it is used, so that what a kind does not look at costs nothing.
  [[gnu::always_inline]] Stage<T> stage(Index l, const T* parameters, const Span& span, const Drawing* drawing) const {
    const Layer& at = layout_->layer(l);
    const Index from = source(l - 1, drawing);
    T* const outputs = outputs_[l].row(span.first);
    Stage<T> on{parameters, span.rows, span.in_batch, rows_of(from, span.first), sparse.data() + span.first,
                from < 0 && mostly_zeros, z_[l] ? const_cast<T*>(z(l, span.first)) : outputs, outputs,
                beside_[l] ? beside_[l].data() + span.first * at.beside : nullptr, drawing, nullptr, nullptr, sums};
    if (is<Shortcut>(at.kind)) {
      on.other = rows_of(source(at.from, drawing), span.first);
      on.sparse_other = sparse.data() + span.first;
    }
    return on;
  }

  [[gnu::always_inline]] void forward(Index l, const T* parameters, const Span& span, const Drawing* drawing) {
    const Layer& at = layout_->layer(l);
    with_kind(at.kind, [&](auto kind) { kind.forward(at, stage(l, parameters, span, drawing)); });
  }

  [[gnu::always_inline]] void learn(Index l, Index rows, const Block& block, bool adding, Matrix<T> weights,
                                    T* bias) const {
    const Layer& at = layout_->layer(l);
    if (weights.data != nullptr)
      with_kind(at.kind, [&](auto kind) {
        kind.learn(at, stage(l, nullptr, {0, rows, 0}, &undrawn), errors_[l].rows(), block, adding, weights);
      });
    if (bias != nullptr) learn_bias(at, errors_[l].data(), rows, block.first_column, block.columns, adding, bias);
  }

  const Layout<T>* layout_;
  Index room_;

 public:
  Array<const T*> inputs;       // the rows, wherever they lie
  Array<SparseRow<T>> sparse;   // or these
  bool is_sparse = false;       // so they are; those of compact rows are their entries
  bool is_compact = false;
  Entries<T> entries;
  Array<const std::int32_t*> levels;  // of compact rows
  const T* sums = nullptr;            // the running sums that their entries mean, or null
  bool mostly_zeros = false;    // where they are not
  ByColumn<T> by_column;        // the sparse rows of a batch that is held
  Array<T> targets, factors;    // laid out as the last layer's outputs
  bool holds_all = false;       // all rows of a call, which need not be laid out again
  Index rows_with_factors = 0;  // and what the rows count, where all have the same
  T same_factor = 0;

 private:
  List<Tile<T>> outputs_, errors_;
  List<Array<T>> z_, beside_;
};

}  // namespace nineline::NINELINE_LEVEL
