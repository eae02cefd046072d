// Rows on their way through the network, and their errors on the way back.
//
// Twins: loss_and_gradients in src/nineline/engines/reference.py, Network.forward in src/nineline/network.py.
#pragma once

#include "layout.hpp"
#include "sparse.hpp"

namespace nineline::NINELINE_LEVEL {

// A span of rows: where they begin in a Workspace, how many they are, and the number that the first has in its batch.
struct Span {
  Index first, rows, in_batch;
};

enum class Purpose { training, answering };

// What every layer makes of some rows, and the errors of its weighted sums. It has room for a whole batch that is held,
// or for a tile at a time.
template <class T>
class Workspace {
 public:
  Workspace(const Layout<T>& layout, Index room, Purpose purpose)
      : layout_{&layout}, room_{room}, inputs{room}, sparse{room}, outputs_{layout.count()}, deltas_{layout.count()},
        z_{layout.count()}, masks_{layout.count()} {
    const bool training = purpose == Purpose::training;
    for (Index l = 0; l < layout.count(); ++l) {
      const Layer& at = layout.layer(l);
      if (at.dense || training) outputs_[l] = Tile<T>{room, at.stride};
      if (!training) continue;
      if (at.keeps_z) z_[l] = Array<T>{room * at.stride};
      if (at.dense) deltas_[l] = Tile<T>{room, at.stride};
      else masks_[l] = Array<T>{room * at.stride};
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
    RowList<T> from = nullptr;  // null: the data
    for (Index l = 0; l < layout_->count(); ++l) {
      if (!layout_->layer(l).dense) continue;  // dropout passes everything on when the network runs
      forward(l, parameters[l], from, 0, rows);
      from = outputs_[l].rows();
    }
  }

  // The same as training sees it, where dropout draws.
  void forward_in_training(const T* const* parameters, const Span& span, std::uint64_t seed, std::uint64_t step) {
    RowList<T> from = nullptr;
    for (Index l = 0; l < layout_->count(); ++l) {
      if (layout_->layer(l).dense) forward(l, parameters[l], from, span.first, span.rows);
      else drop(l, Draw{seed, step, std::uint64_t(l)}, from, span);
      from = outputs_[l].rows(span.first);
    }
  }

  // The loss of rows that went forward; their errors stay here.
  T measure(const LossSpec& loss, Index first, Index rows) {
    const Layer& last = layout_->last();
    const Index l = layout_->count() - 1, begin = first * last.stride;
    const Outputs<T> at{z(l, first), outputs_[l].row(first), targets.data() + begin, factors.data() + begin, rows,
                        last.outputs, last.stride};
    return NINELINE_LEVEL::measure(loss, last.activation, T(last.setting), at, deltas_[l].row(first));
  }

  // Takes the errors back to layer number `lowest`, a dense one.
  void backward(const T* const* parameters, const T* const* turned_over, Index first, Index rows, Index lowest) {
    for (Index l = layout_->count() - 1; l > lowest; --l) {
      const Layer& at = layout_->layer(l);
      if (!at.dense) continue;
      Index below = l - 1;
      while (!layout_->layer(below).dense) --below;
      T* errors = deltas_[below].row(first);
      const T *sums = z(below, first), *outputs = outputs_[below].row(first);
      const Layer& lower = layout_->layer(below);
      if (below == l - 1 && is_small<T>(rows, at.input_stride) && !is<Softmax>(lower.activation)) {
        small_errors(at, lower, at.turned ? parameters[l] : turned_over[l], deltas_[l].row(first), rows, sums, outputs,
                     errors);
        continue;
      }
      const bool behind_relu = below == l - 1 && is<Relu>(lower.activation);
      if (input_errors(at, parameters[l], turned_over[l], deltas_[l].rows(first), rows,
                       behind_relu ? outputs : nullptr, errors))
        continue;
      for (Index dropout = l - 1; dropout > below; --dropout) {
        const T* mask = masks_[dropout].data() + first * at.input_stride;
        for (Index i = 0; i < rows * at.input_stride; i += width<T>)
          store(errors + i, load(errors + i) * load(mask + i));
      }
      carry_back(lower.activation, T(lower.setting), sums, outputs, errors, rows, lower.outputs, lower.stride);
    }
  }

  // A block of a layer's gradient, from the first rows of a batch that is held; where `weights` or `bias` are null, it
  // is not asked for.
  void learn(Index l, Index rows, const Block& block, Matrix<T> weights, T* bias) const {
    const Layer& at = layout_->layer(l);
    if (weights.data != nullptr) {
      if (l == 0 && is_sparse) learn_weights(by_column, deltas_[l].rows(), block, weights);
      else learn_weights(at, l, rows, block, false, weights);
    }
    if (bias != nullptr) learn_bias(at, deltas_[l].data(), rows, block.first_column, block.columns, false, bias);
  }

  // A whole layer's, (+)= from the rows of a tile, as it lies in a padded vector.
  void learn(Index l, Index rows, bool adding, T* weights, T* bias) const {
    const Layer& at = layout_->layer(l);
    const Index stride = at.stride_of_weights();
    if (weights != nullptr) {
      if (l == 0 && is_sparse)
        NINELINE_LEVEL::learn_weights(at, sparse.data(), deltas_[l].rows(), rows, adding, weights);
      else
        learn_weights(at, l, rows, {0, at.rows_of_weights(), 0, stride}, adding, {weights, stride});
    }
    if (bias != nullptr) learn_bias(at, deltas_[l].data(), rows, 0, stride, adding, bias);
  }

 private:
  const T* z(Index l, Index first) const {
    return z_[l] ? z_[l].data() + first * layout_->layer(l).stride : nullptr;
  }

  void forward(Index l, const T* parameters, RowList<T> from, Index first, Index rows) {
    const Layer& at = layout_->layer(l);
    T* const outputs = outputs_[l].row(first);
    T* const sums = z_[l] ? const_cast<T*>(z(l, first)) : outputs;
    if (from == nullptr && is_sparse)
      NINELINE_LEVEL::forward(at, parameters, sparse.data() + first, rows, sums, outputs);
    else
      NINELINE_LEVEL::forward(at, parameters, from == nullptr ? inputs.data() + first : from, rows,
                              l == 0 && mostly_zeros, sums, outputs);
  }

  void drop(Index l, const Draw& draw, RowList<T> from, const Span& span) {
    const Layer& at = layout_->layer(l);
    if (from == nullptr && !is_sparse) from = inputs.data() + span.first;
    T *mask = masks_[l].data() + span.first * at.stride, *outputs = outputs_[l].row(span.first);
    for (Index r = 0; r < span.rows; ++r, mask += at.stride, outputs += at.stride) {
      draw.mask(at.rate, span.in_batch + r, at.inputs, mask);
      if (from != nullptr) {
        for (Index i = 0; i < at.inputs; ++i) outputs[i] = from[r][i] * mask[i];
      } else {  // here sparse rows are spread out
        const SparseRow<T>& row = sparse[span.first + r];
        __builtin_memset(outputs, 0, at.inputs * sizeof(T));
        for (Index e = 0; e < row.count; ++e) outputs[row.columns[e]] = row.values[e] * mask[row.columns[e]];
      }
    }
  }

  void learn_weights(const Layer& at, Index l, Index rows, const Block& block, bool adding, Matrix<T> gradient) const {
    NINELINE_LEVEL::learn_weights(at, l == 0 ? inputs.data() : outputs_[l - 1].rows(), deltas_[l].rows(), rows,
                                  l == 0 && mostly_zeros, block, adding, gradient);
  }
  void learn_weights(const ByColumn<T>& from, RowList<T> delta, const Block& block, Matrix<T> gradient) const {
    NINELINE_LEVEL::learn_weights(from, delta, block, gradient);
  }

  const Layout<T>* layout_;
  Index room_;

 public:
  Array<const T*> inputs;       // the rows, wherever they lie
  Array<SparseRow<T>> sparse;   // or these
  bool is_sparse = false;
  bool mostly_zeros = false;    // where they are not
  ByColumn<T> by_column;        // the sparse rows of a batch that is held
  Array<T> targets, factors;    // laid out as the last layer's outputs
  bool holds_all = false;       // all rows of a call, which need not be laid out again
  Index rows_with_factors = 0;  // and what the rows count, where all have the same
  T same_factor = 0;

 private:
  List<Tile<T>> outputs_, deltas_;
  List<Array<T>> z_, masks_;
};

}  // namespace nineline::NINELINE_LEVEL
