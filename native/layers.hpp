// Layers: how one lies in memory, and its forward beside its backward for a tile of rows.
//
// In a tile every layer's outputs are (rows, outputs) with each row padded to whole vectors. The padding never matters:
// weights there are zero, and so are errors. A layer of a few outputs after a padded one is `turned`: its weights are
// kept as (outputs, inputs), so that the lanes lie along its many inputs, and its outputs are packed without padding.
//
// Twin: src/nineline/layers/dense.py. Forward is outputs = activation(inputs @ weights + bias); backward is
// gradient = inputs.T @ delta and errors = delta @ weights.T.
#pragma once

#include "activations.hpp"
#include "draws.hpp"
#include "products.hpp"

namespace nineline::NINELINE_LEVEL {

struct Layer : LayerSpec {
  Index input_stride = 0;  // of a row of inputs in a tile
  Index stride = 0;        // of a row of outputs
  bool turned = false;
  bool keeps_z = false;  // training needs the weighted sums after the outputs
  bool input_is_packed = false;  // without padding, as the outputs of a turned layer are
  bool has_turned_copy = false;  // of its weights, for the errors of its inputs

  Index flat = 0;     // where its parameters begin in Python's vector: weights (inputs, outputs), then bias
  Index place = 0;    // where they begin in ours: rows of `stride` (turned: `input_stride`), then bias
  Index weights = 0;  // how many numbers the weights take there
  Index size = 0;     // with the bias
  Index turned_place = 0;  // where the turned copy begins, in the vector of those

  Index rows_of_weights() const { return turned ? outputs : inputs; }
  Index stride_of_weights() const { return turned ? input_stride : stride; }
  Index stride_of_bias() const { return size - weights; }
  Index flat_size() const { return dense ? (inputs + (bias ? 1 : 0)) * outputs : 0; }
  // Whether our layout is Python's, so that a vector of parameters can be used as it is.
  bool as_in_python() const { return !turned && stride == outputs; }
};

// A few numbers at most, for which a call of memcpy or memcmp would take longer than what it does: halves that overlap.
template <class T, int most = width<T>>
inline void copy_few(const T* from, Index count, T* to) {
  constexpr int half = most / 2;
  if constexpr (half > 0) {
    if (count < half) return copy_few<T, half>(from, count, to);
    __builtin_memcpy(to, from, half * sizeof(T));
    __builtin_memcpy(to + count - half, from + count - half, half * sizeof(T));
  }
}
template <class T, int most = width<T>>
inline bool same_few(const T* a, Index count, const T* b) {
  constexpr int half = most / 2;
  if constexpr (half > 0) {
    if (count < half) return same_few<T, half>(a, count, b);
    return __builtin_memcmp(a, b, half * sizeof(T)) == 0 &&
           __builtin_memcmp(a + count - half, b + count - half, half * sizeof(T)) == 0;
  }
  return true;
}

template <class T>
inline void copy_row(const T* from, Index count, T* to) {
  constexpr Index w = width<T>;
  if (count < w) return copy_few(from, count, to);
  for (Index i = 0; i + w <= count; i += w) store(to + i, load(from + i));
  store(to + count - w, load(from + count - w));
}

// Whether the bits are the same.
template <class T>
inline bool same_row(const T* a, Index count, const T* b) {
  constexpr Index w = width<T>;
  if (count < w) return same_few(a, count, b);
  Int<Vec<T>> all = bits(load(a + count - w)) ^ bits(load(b + count - w));
  for (Index i = 0; i + w <= count; i += w) all |= bits(load(a + i)) ^ bits(load(b + i));
  const Int<Vec<T>> none{};
  return __builtin_memcmp(&all, &none, sizeof all) == 0;
}

// Python's layout into ours. What is padding must be zero before, and stays so.
template <class T>
inline void pack(const Layer& at, const T* flat, T* padded) {
  if (at.turned) {
    for (Index o = 0; o < at.outputs; ++o)
      for (Index i = 0; i < at.inputs; ++i) padded[o * at.input_stride + i] = flat[i * at.outputs + o];
  } else {
    for (Index i = 0; i < at.inputs; ++i) copy_row(flat + i * at.outputs, at.outputs, padded + i * at.stride);
  }
  if (at.bias) copy_row(flat + at.inputs * at.outputs, at.outputs, padded + at.weights);
}

// And back.
template <class T>
inline void unpack(const Layer& at, const T* padded, T* flat) {
  if (at.turned) {
    for (Index o = 0; o < at.outputs; ++o)
      for (Index i = 0; i < at.inputs; ++i) flat[i * at.outputs + o] = padded[o * at.input_stride + i];
  } else {
    for (Index i = 0; i < at.inputs; ++i) copy_row(padded + i * at.stride, at.outputs, flat + i * at.outputs);
  }
  if (at.bias) copy_row(padded + at.weights, at.outputs, flat + at.inputs * at.outputs);
}

// Whether packing would change no bit.
template <class T>
inline bool is_packed(const Layer& at, const T* flat, const T* padded) {
  using Word = typename Simd<T>::Word;
  Word different = 0;
  if (at.turned) {
    for (Index o = 0; o < at.outputs; ++o)
      for (Index i = 0; i < at.inputs; ++i) {
        Word theirs, ours;
        __builtin_memcpy(&theirs, flat + i * at.outputs + o, sizeof(T));
        __builtin_memcpy(&ours, padded + o * at.input_stride + i, sizeof(T));
        different |= theirs ^ ours;
      }
  } else if (at.stride == at.outputs) {
    different = !same_row(flat, at.inputs * at.outputs, padded);
  } else {
    for (Index i = 0; i < at.inputs; ++i)
      different |= !same_row(flat + i * at.outputs, at.outputs, padded + i * at.stride);
  }
  return different == 0 && (!at.bias || same_row(flat + at.inputs * at.outputs, at.outputs, padded + at.weights));
}

// A tile of rows that has its own memory, and the list of its rows.
template <class T>
struct Tile {
  Array<T> numbers;
  Array<const T*> list;

  Tile() = default;
  Tile(Index rows, Index stride) : numbers{rows * stride}, list{rows} {
    for (Index r = 0; r < rows; ++r) list[r] = numbers.data() + r * stride;
  }
  T* data() const { return numbers.data(); }
  T* row(Index r) const { return const_cast<T*>(list[r]); }
  RowList<T> rows(Index first = 0) const { return list.data() + first; }
};

// A few rows of at most one vector, as in the tutorial's network: there the plain loops, with the activation applied
// before anything leaves the registers, take less time than the way from one sweep over a tile to the next.
template <class T>
inline bool is_small(Index rows, Index stride) {
  return rows <= 16 && stride == width<T>;
}

template <class T>
inline void small_forward(const Layer& at, const T* parameters, RowList<T> inputs, Index rows, T* z, T* outputs) {
  constexpr Index w = width<T>;
  const Vec<T> bias = at.bias ? load(parameters + at.weights) : Vec<T>{}, a = splat(T(at.setting));
  with_activation(at.activation, [&](auto f) {
    for (Index r = 0; r < rows; ++r) {
      Vec<T> sums = bias;
      for (Index i = 0; i < at.inputs; ++i) sums += inputs[r][i] * load(parameters + i * w);
      if (f.needs_z || at.keeps_z) store(z + r * w, sums);
      store(outputs + r * w, f.value(sums, a));
    }
  });
}

// gradient[i] (+)= the sum over r of left[r][first + i] * right[r], one vector.
template <class T>
inline void small_gradient(RowList<T> left, Index first, Index height, RowList<T> right, Index rows, bool adding,
                           T* gradient) {
  constexpr Index w = width<T>;
  for (Index i = 0; i < height; ++i) {
    Vec<T> sums = adding ? load(gradient + i * w) : Vec<T>{};
    for (Index r = 0; r < rows; ++r) sums += left[r][first + i] * load(right[r]);
    store(gradient + i * w, sums);
  }
}

// The errors of the weighted sums of the layer below, whose activation they are carried back through at once.
template <class T>
inline void small_errors(const Layer& at, const Layer& below, const T* turned_over, const T* delta, Index rows,
                         const T* z, const T* y, T* errors) {
  constexpr Index w = width<T>;
  const Vec<T> a = splat(T(below.setting));
  with_activation(below.activation, [&](auto f) {
    for (Index r = 0; r < rows; ++r) {
      Vec<T> sums{};
      for (Index o = 0; o < at.outputs; ++o) sums += delta[r * at.stride + o] * load(turned_over + o * w);
      const Vec<T> sums_below = f.needs_z ? load(z + r * w) : Vec<T>{};
      store(errors + r * w, sums * f.slope(sums_below, load(y + r * w), a));
    }
  });
}

// z = inputs @ weights + bias; outputs = activation(z). `parameters` are the layer's own; `zeros` says that the inputs
// are mostly that.
template <class T>
inline void forward(const Layer& at, const T* parameters, RowList<T> inputs, Index rows, bool zeros, T* z, T* outputs) {
  if (!at.turned && is_small<T>(rows, at.stride) && !is<Softmax>(at.activation))
    return small_forward(at, parameters, inputs, rows, z, outputs);
  const T* bias = at.bias ? parameters + at.weights : nullptr;
  if (at.turned) {
    dots<T>(inputs, rows, at.inputs, {parameters, at.input_stride}, at.outputs, bias, z);
    const Index end = rows * at.outputs;  // sweeps go on to the end of its vector
    for (Index i = end; i < round_up(end, width<T>); ++i) z[i] = 0;
  } else if (is<Relu>(at.activation) && z == outputs) {
    return rows_times<Finish::positive_part, T>(inputs, rows, at.inputs, {parameters, at.stride}, at.stride, {bias, 0},
                                                {z, at.stride}, zeros);
  } else {
    rows_times<Finish::none, T>(inputs, rows, at.inputs, {parameters, at.stride}, at.stride, {bias, 0}, {z, at.stride},
                                zeros);
  }
  activate(at.activation, T(at.setting), z, outputs, rows, at.outputs, at.stride);
}

// A part of a layer's weights, as they lie: rows of `stride_of_weights`, columns in whole vectors.
struct Block {
  Index first_row, rows, first_column, columns;
};

// gradient[block] (+)= inputs.T @ delta, as rows of a stride.
template <class T>
inline void learn_weights(const Layer& at, RowList<T> inputs, RowList<T> delta, Index rows, bool zeros,
                          const Block& block, bool adding, Matrix<T> gradient) {
  const RowList<T> left = at.turned ? delta : inputs, right = at.turned ? inputs : delta;
  if (is_small<T>(rows, at.stride_of_weights()))
    small_gradient(left, block.first_row, block.rows, right, rows, adding, gradient.data);
  else
    columns_times<T>(left, block.first_row, block.rows, rows,
                     {right[0] + block.first_column, at.stride_of_weights()}, block.columns,
                     adding ? Start<T>{gradient.data, gradient.stride} : Start<T>{}, gradient, zeros);
  if (at.turned)  // inputs in the padding need not be zero, weights there must
    for (Index r = 0; r < block.rows; ++r)
      for (Index i = larger(at.inputs - block.first_column, 0); i < block.columns; ++i) gradient.row(r)[i] = 0;
}

// gradient[first:first + count] (+)= the sum over the rows of delta, as from an input that is always 1. The bias of a
// turned layer is taken at once.
template <class T>
inline void learn_bias(const Layer& at, const T* delta, Index rows, Index first, Index count, bool adding,
                       T* gradient) {
  if (at.turned) {
    for (Index o = 0; o < at.outputs; ++o) {
      T sums[4] = {};
      for (Index r = 0; r < rows; ++r) sums[r % 4] += delta[r * at.outputs + o];
      gradient[o] = (adding ? gradient[o] : T(0)) + ((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
    for (Index o = at.outputs; o < at.stride_of_bias(); ++o) gradient[o] = 0;
    return;
  }
  for (Index o = 0; o < count; o += width<T>) {
    Vec<T> sums[4] = {};
    const T* from = delta + first + o;
    Index r = 0;
    for (; r + 4 <= rows; r += 4)
#pragma GCC unroll 4
      for (Index j = 0; j < 4; ++j) sums[j] += load(from + (r + j) * at.stride);
    for (; r < rows; ++r) sums[0] += load(from + r * at.stride);
    store(gradient + o,
          (adding ? load(gradient + o) : Vec<T>{}) + ((sums[0] + sums[1]) + (sums[2] + sums[3])));
  }
}

// errors = delta @ weights.T, for the layer below; `turned_over` are the weights as (outputs, inputs). Behind a relu,
// the errors of its weighted sums; else the activation is still to be carried back through, and the answer is false.
template <class T>
inline bool input_errors(const Layer& at, const T* parameters, const T* turned_over, RowList<T> delta, Index rows,
                         const T* positive, T* errors) {
  const Matrix<const T> weights{at.turned ? parameters : turned_over, at.input_stride};
  const Matrix<T> to{errors, at.input_stride};
  if (at.input_is_packed)
    return dots<T>(delta, rows, at.outputs, {parameters, at.stride}, at.inputs, nullptr, errors), false;
  if (positive == nullptr)
    return rows_times<Finish::none, T>(delta, rows, at.outputs, weights, at.input_stride, {}, to), false;
  rows_times<Finish::where_positive, T>(delta, rows, at.outputs, weights, at.input_stride, {}, to, false, positive);
  return true;
}

}  // namespace nineline::NINELINE_LEVEL
