// Networks so small that the way through the general machinery would take longer than what it does: a step as a list of
// operations, made once, each of which has at hand all that it needs.
//
// All lies where the general way has it: the parameters, and the rows of a batch in a Workspace. Several rows are taken
// by fours, in registers; rows that fill up the last four count nothing. Twin: loss_and_gradients in
// src/nineline/engines/reference.py.
#pragma once

#include "batches.hpp"

namespace nineline::NINELINE_LEVEL {

// What is done with some rows. Each kind of operation says below what it reads, and what it writes.
template <class T>
struct Operation {
  void (*one)(const Operation&, Index rows);  // with one row
  void (*some)(const Operation&, Index rows);  // with several
  RowList<T> a, b;
  Index depth, columns;   // of a matrix
  const T *matrix, *start, *mask;
  T *z, *y, *to;
  Index stride;           // of the matrix, or of rows of z
  T setting;
  bool bias;
};

// Calls finish(sum, i) for the vectors of start + a (rows, depth) @ matrix (depth, columns), n rows at a time, i being
// the place of a vector in rows of `columns`.
template <int n, class T, class Finish>
[[gnu::always_inline]] inline void times(const Operation<T>& on, Index rows, const Finish& finish) {
  constexpr Index w = width<T>;
  const Index columns = on.columns, depth = on.depth;
  for (Index c = 0; c < columns; c += w) {
    const Vec<T> start = on.start == nullptr ? Vec<T>{} : load(on.start + c);
    Index place = c;
    for (Index first = 0; first < rows; first += n) {
      const T* row[n];
      Vec<T> sums[n];
      for (int r = 0; r < n; ++r) row[r] = on.a[first + r], sums[r] = start;
      const T* matrix = on.matrix + c;
      for (Index k = 0; k < depth; ++k, matrix += columns) {
        const Vec<T> right = load(matrix);
        for (int r = 0; r < n; ++r) sums[r] += row[r][k] * right;
      }
#pragma GCC unroll 4
      for (int r = 0; r < n; ++r, place += columns) finish(sums[r], place);
    }
  }
}

// z (rows, columns) = start + a @ matrix, where it is kept, and to = f(z).
template <int n, class F, class T>
void forward(const Operation<T>& on, Index rows) {
  const Vec<T> setting = splat(on.setting);
  T *const z = on.z, *const to = on.to;
  times<n>(on, rows, [&](Vec<T> sum, Index i) {
    if (z != nullptr) store(z + i, sum);
    store(to + i, F::value(sum, setting));
  });
}

// to (rows, columns) = (a @ matrix) * f'(z), y = f(z).
template <int n, class F, class T>
void backward(const Operation<T>& on, Index rows) {
  const Vec<T> setting = splat(on.setting);
  T *const z = on.z, *const y = on.y, *const to = on.to;
  times<n>(on, rows, [&](Vec<T> sum, Index i) {
    store(to + i, sum * F::slope(F::needs_z ? load(z + i) : Vec<T>{}, load(y + i), setting));
  });
}

// A vector whose lane j is the sum over vector j of n; `sums` of simd.hpp for fewer than there are lanes.
template <class T, int n, int lanes = width<T>>
inline Vec<T> sums_of(Vec<T> (&v)[n]) {
  if constexpr (lanes == 1) {
    return v[0];
  } else {
    constexpr int half = n > 1 ? n / 2 : 1;
    Vec<T> next[half];
    for (int i = 0; i < half; ++i) next[i] = sums_of_neighbours(v[i * n / half], v[(i + 1) * n / half - 1], Lanes<T>{});
    return sums_of<T, half, lanes / 2>(next);
  }
}

// to (rows, columns), packed, = start + a (rows, depth) @ matrix.T with matrix (columns, depth). The lanes lie along the
// depth until the sums over them become the lanes of n rows. `to` has room for a whole vector at its end.
template <int n, class T>
inline void dots(const Operation<T>& on, Index rows) {
  const Index depth = on.depth, columns = on.columns;
  for (Index first = 0; first < rows; first += n) {
    const Index here = smaller(n, rows - first);
    const T* row[n];
    for (int r = 0; r < n; ++r) row[r] = on.a[first + (n <= 4 || r < here ? r : 0)];
    for (Index o = 0; o < columns; ++o) {
      Vec<T> each[n] = {};
      for (Index k = 0; k < depth; k += width<T>) {
        const Vec<T> right = load(on.matrix + o * on.stride + k);
        for (int r = 0; r < n; ++r) each[r] += load(row[r] + k) * right;
      }
      const Vec<T> answers = sums_of<T>(each) + (on.start == nullptr ? T(0) : on.start[o]);
      if (columns == 1) store(on.to + first, answers);
      else
        for (Index r = 0; r < here; ++r) on.to[(first + r) * columns + o] = answers[r];
    }
  }
  if (columns > 1)  // sweeps go on to the end of its vector
    for (Index i = rows * columns; i < round_up(rows * columns, width<T>); ++i) on.to[i] = 0;
}
template <class T>
inline void dots_of_some(const Operation<T>& on, Index rows) {
  constexpr int w = width<T>;
  if (rows <= 4 && w > 4) dots<4>(on, rows);
  else dots<w>(on, rows);
}

// to (depth, columns) = a.T @ b, from rows of a (rows, depth) and b (rows, columns), n rows at a time; and behind it,
// where there is a bias, the sum of b. Lanes of b that the mask does not have count nothing.
template <int n, class T>
inline void learn(const Operation<T>& on, Index rows) {
  constexpr Index w = width<T>;
  const Index columns = on.columns, depth = on.depth;
  for (Index c = 0; c < columns; c += w)
    for (Index first = 0; first < rows; first += n) {
      const T* row[n];
      Vec<T> right[n];
      for (int r = 0; r < n; ++r) row[r] = on.a[first + r];
      for (int r = 0; r < n; ++r)
        right[r] = from_bits<Vec<T>>(bits(load(on.b[first + r] + c)) & bits(load(on.mask + c)));
      T* to = on.to + c;
      for (Index i = 0; i < depth; ++i, to += columns) {
        Vec<T> sum = first == 0 ? Vec<T>{} : load(to);
        for (int r = 0; r < n; ++r) sum += row[r][i] * right[r];
        store(to, sum);
      }
      if (!on.bias) continue;
      Vec<T> sum = first == 0 ? Vec<T>{} : load(to);
      for (int r = 0; r < n; ++r) sum += right[r];
      store(to, sum);
    }
}

// to = the sum over the rows of z, which are packed and of one number each; or of several.
template <class T>
inline void learn_bias_of_one(const Operation<T>& on, Index rows) {
  Vec<T> sums[] = {load(on.z)};
  for (Index r = width<T>; r < rows; r += width<T>) sums[0] += load(on.z + r);
  Vec<T> result{};
  result[0] = sums_of<T>(sums)[0];
  store(on.to, result);
}
template <class T>
inline void learn_packed_bias(const Operation<T>& on, Index rows) {
  for (Index o = 0; o < on.columns; ++o) {
    T sum = 0;
    for (Index r = 0; r < rows; ++r) sum += on.z[r * on.columns + o];
    on.to[o] = sum;
  }
}

// to (rows, stride) = f(z), and to *= f'(z).
template <class F, class T>
inline void activate(const Operation<T>& on, Index rows) {
  activate_by<F>(on.setting, on.z, on.to, rows * on.stride);
}
template <class F, class T>
inline void carry_back(const Operation<T>& on, Index rows) {
  carry_back_by<F>(on.setting, on.z, on.y, on.to, rows * on.stride);
}
template <class T>
inline void softmax(const Operation<T>& on, Index rows) {
  softmax(on.z, on.to, rows, on.columns, on.stride);
}
template <class T>
inline void softmax_backward(const Operation<T>& on, Index rows) {
  softmax_backward(on.y, on.to, rows, on.columns, on.stride);
}

// The way of a batch through a network and back. Parameters and gradient are those of a padded vector.
template <class T>
class Tiny {
 public:
  // Layers of a few vectors. One that is turned is the last, for the way back asks for rows that are padded.
  static bool fits(const Layout<T>& layout) {
    for (Index l = 0; l < layout.count(); ++l) {
      const Layer& at = layout.layer(l);
      if (!is<Dense>(at.kind) || at.stride_of_weights() > most_columns) return false;
      if (l < layout.count() - 1 && (at.turned || is<Softmax>(at.activation))) return false;
    }
    return layout.size() <= most_numbers;
  }
  static bool fits(const Batch<T>& batch) { return batch.rows <= most_rows && !batch.compact(); }
  // How many rows a workspace has room for, when so many are taken.
  static Index room(Index rows) { return rows == 1 ? 1 : round_up(rows, 4); }

  Tiny() = default;
  // Of a layout that fits; `turned_over[l]` are a layer's weights as (outputs, inputs), where they are kept so, and
  // `factors` those of the learning rates of the blocks: what does not learn has no gradient.
  Tiny(const Layout<T>& layout, Workspace<T>& workspace, const T* const* parameters, const T* const* turned_over,
       Index lowest, const double* factors, T* gradient)
      : layout_{&layout}, workspace_{&workspace}, last_{workspace.memory(layout.count() - 1)},
        operations_{5 * layout.count()}, masks_{layout.count() * most_columns},
        spread_out_{workspace.room() * layout.inputs()} {
    for (Index l = 0; l < layout.count(); ++l) add_forward(layout.layer(l), parameters[l], workspace.memory(l));
    behind_loss_ = end_;
    add_slope_of_last();
    behind_activation_ = end_;
    for (Index l = layout.count() - 1; l > lowest; --l)
      add_backward(layout.layer(l), layout.layer(l).turned ? parameters[l] : turned_over[l], workspace.memory(l),
                   layout.layer(l - 1), workspace.memory(l - 1));
    learning_ = end_;
    for (Index l = lowest; l < layout.count(); ++l)
      add_learning(layout.layer(l), workspace.memory(l), factors + layout.layer(l).block, gradient,
                   masks_.data() + l * most_columns);
  }

  // The next batch has nothing in common with the last one.
  void forget() { rows_ = 0; }

  // The loss of a batch; the errors stay in the workspace.
  T measure(const LossSpec& loss, const Batch<T>& batch) {
    const Rows& data = batch.data;
    const bool alike = rows_ == batch.rows && data.begins == nullptr && data.classes == nullptr && data.weights == nullptr;
    if (!alike) lay_out(loss, batch);
    else if (batch.shuffled()) list(batch);
    const Index rows = room(batch.rows);
    run(0, behind_loss_, rows);
    const Outputs<T> at{last_.z, last_.outputs, workspace_->targets.data(), workspace_->factors.data(), rows,
                        layout_->outputs(), layout_->last().stride};
    const T value = sweep_.over(at, loss, last_.errors);
    run(sweep_.joined ? behind_activation_ : behind_loss_, learning_, rows);
    return value;
  }

  // The gradient of the batch that was measured.
  void learn() const { run(learning_, end_, room(rows_)); }

 private:
  static constexpr Index most_rows = 64, most_columns = 32, most_numbers = 1024;

  void run(Index first, Index end, Index rows) const {
    const Operation<T>* const all = operations_.data();
    if (rows == 1)
      for (Index i = first; i < end; ++i) all[i].one(all[i], 1);
    else
      for (Index i = first; i < end; ++i) all[i].some(all[i], rows);
  }

  void lay_out(const LossSpec& loss, const Batch<T>& batch) {
    Workspace<T>& to = *workspace_;
    const Index n = layout_->inputs(), stride = layout_->last().stride;
    if (rows_ == 0) sweep_ = sweep_of<T>(loss.kind, layout_->last().activation);
    rows_ = batch.rows;
    if (!NINELINE_LEVEL::lay_out<T>(*layout_, batch, 0, rows_, batch.total_weight(), loss.mean, nullptr, nullptr, to)) return;
    if (to.is_sparse)
      for (Index r = 0; r < rows_; ++r) to.inputs[r] = to.spread_out(0, r, spread_out_.data() + r * n);
    for (Index r = rows_; r < room(rows_); ++r) {  // rows that count nothing
      to.inputs[r] = to.inputs[0];
      copy_row(to.targets.data(), layout_->outputs(), to.targets.data() + r * stride);
      __builtin_memset(to.factors.data() + r * stride, 0, stride * sizeof(T));
    }
  }

  // The same for a batch of as many rows as the last one, dense and of equal weight.
  void list(const Batch<T>& batch) {
    const T* const inputs = static_cast<const T*>(batch.data.inputs);
    const T* const targets = static_cast<const T*>(batch.data.targets);
    const Index n = layout_->inputs(), m = layout_->outputs(), stride = layout_->last().stride;
    for (Index r = 0; r < room(batch.rows); ++r) {
      const Index row = batch.row(r < batch.rows ? r : 0);
      workspace_->inputs[r] = inputs + row * n;
      copy_row(targets + row * m, m, workspace_->targets.data() + r * stride);
    }
  }

  void add_forward(const Layer& at, const T* parameters, const Memory<T>& memory) {
    Operation<T>& on = operations_[end_++];
    on.a = memory.inputs, on.depth = at.inputs;
    on.matrix = parameters, on.start = at.bias ? parameters + at.weights : nullptr;
    on.columns = at.stride, on.stride = at.stride_of_weights(), on.setting = T(at.setting);
    if (!at.turned && !is<Softmax>(at.activation)) {
      on.z = memory.z == memory.outputs ? nullptr : memory.z, on.to = memory.outputs;
      with_activation(at.activation, [&](auto f) {
        on.one = forward<1, decltype(f), T>, on.some = forward<4, decltype(f), T>;
      });
      return;
    }
    on.to = memory.z;
    if (at.turned) on.one = dots<1, T>, on.some = dots_of_some<T>;
    else on.one = forward<1, Identity, T>, on.some = forward<4, Identity, T>;
    if (is<Identity>(at.activation) && memory.z == memory.outputs) return;
    Operation<T>& next = operations_[end_++];
    next.z = memory.z, next.to = memory.outputs;
    next.columns = at.outputs, next.stride = at.stride, next.setting = T(at.setting);
    next.some = softmax<T>;
    with_activation(at.activation, [&](auto f) { next.some = activate<decltype(f), T>; });
    next.one = next.some;
  }

  void add_slope_of_last() {
    const Layer& at = layout_->last();
    if (is<Identity>(at.activation)) return;
    Operation<T>& on = operations_[end_++];
    on.z = last_.z, on.y = last_.outputs, on.to = last_.errors;
    on.columns = at.outputs, on.stride = at.stride, on.setting = T(at.setting);
    on.some = softmax_backward<T>;
    with_activation(at.activation, [&](auto f) { on.some = carry_back<decltype(f), T>; });
    on.one = on.some;
  }

  void add_backward(const Layer& at, const T* across, const Memory<T>& memory, const Layer& below,
                    const Memory<T>& memory_below) {
    Operation<T>& on = operations_[end_++];
    on.a = memory.rows_of_errors, on.depth = at.outputs;
    on.matrix = across, on.columns = on.stride = at.turned_stride;
    on.z = memory_below.z, on.y = memory_below.outputs, on.to = memory_below.errors, on.setting = T(below.setting);
    with_activation(below.activation, [&](auto f) {
      on.one = backward<1, decltype(f), T>, on.some = backward<4, decltype(f), T>;
    });
  }

  void add_learning(const Layer& at, const Memory<T>& memory, const double* factors, T* gradient, T* mask) {
    const bool bias = at.bias && factors[1] != 0;
    Operation<T>& on = operations_[end_++];
    on.one = NINELINE_LEVEL::learn<1, T>, on.some = NINELINE_LEVEL::learn<4, T>;
    on.a = at.turned ? memory.rows_of_errors : memory.inputs;
    on.b = at.turned ? memory.inputs : memory.rows_of_errors;
    on.depth = factors[0] != 0 ? at.rows_of_weights() : 0, on.columns = at.stride_of_weights();
    on.to = gradient + at.place + (factors[0] != 0 ? 0 : at.weights);
    on.mask = mask;
    __builtin_memset(static_cast<void*>(mask), 0xff, (at.turned ? at.inputs : at.stride) * sizeof(T));
    on.bias = bias && !at.turned;
    if (!bias || !at.turned) return;
    Operation<T>& next = operations_[end_++];
    next.z = memory.errors, next.columns = at.outputs, next.to = gradient + at.place + at.weights;
    next.one = next.some = at.outputs == 1 ? learn_bias_of_one<T> : learn_packed_bias<T>;
  }

  const Layout<T>* layout_ = nullptr;
  Workspace<T>* workspace_ = nullptr;
  Memory<T> last_{};
  Array<Operation<T>> operations_;
  Array<T> masks_;  // of the layers: every bit of a number that counts
  Array<T> spread_out_;  // sparse rows
  Index behind_loss_ = 0, behind_activation_ = 0, learning_ = 0, end_ = 0;  // where operations begin
  Sweep<T> sweep_;
  Index rows_ = 0;  // of the batch that is laid out
};

}  // namespace nineline::NINELINE_LEVEL
