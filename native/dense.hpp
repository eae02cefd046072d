// The dense layer: outputs = activation(inputs @ weights + bias), and what backpropagation asks of it.
//
// gradient = inputs.T @ delta and errors of the inputs = delta @ weights.T, delta being the errors of the weighted sums.
// Twin: Layer in src/nineline/layers/dense.py.
#pragma once

#include "activations.hpp"
#include "layers.hpp"

namespace nineline::NINELINE_LEVEL {

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

struct Dense {
  static constexpr const char* name = "dense";
  static constexpr bool runs = true;

  static Index parameters(const LayerSpec& layer) { return (layer.inputs + (layer.bias ? 1 : 0)) * layer.outputs; }

  template <class T>
  static double lay_out(Layer& at, const Before& before) {
    at.height = at.inputs;
    at.penalised = true;
    at.input_is_packed = !before.layer.padded;
    at.turned = before.layer.padded && before.layer.vectors == nullptr &&
                at.outputs * (at.input_stride / width<T> + 3) <= at.inputs;
    at.padded = !at.turned;
    if (at.turned) at.stride = at.outputs;
    at.has_turned_copy = before.learns && !at.turned && !at.input_is_packed;
    at.asked_inputs = before.layer.vectors != nullptr ? before.layer.asked() : at.inputs;
    at.turned_stride = at.turned ? at.input_stride : round_up(at.asked_inputs, width<T>);
    at.keeps_z = needs_z(at.activation);
    return double(at.inputs) * double(at.stride) * (before.learns ? 3 : 2) + 40 * double(at.stride);
  }

  template <class T>
  static void forward(const Layer& at, const Stage<T>& on) {
    if (!at.turned && on.inputs != nullptr && is_small<T>(on.rows, at.stride) && !is<Softmax>(at.activation))
      return small_forward(at, on.parameters, on.inputs, on.rows, on.z, on.outputs);
    const T* const bias = at.bias ? on.parameters + at.weights : nullptr;
    const Matrix<const T> weights{on.parameters, at.stride};
    const Matrix<T> to{on.z, at.stride};
    if (at.turned) {
      dots<T>(on.inputs, on.rows, at.inputs, {on.parameters, at.input_stride}, at.outputs, bias, on.z);
      const Index end = on.rows * at.outputs;  // sweeps go on to the end of its vector
      for (Index i = end; i < round_up(end, width<T>); ++i) on.z[i] = 0;
    } else if (on.inputs == nullptr) {
      sparse_times<T>(on.sparse, on.rows, {on.parameters, on.sums, at.inputs, at.stride}, bias, on.z);
    } else if (is<Relu>(at.activation) && on.z == on.outputs) {
      return rows_times<Finish::positive_part, T>(on.inputs, on.rows, at.inputs, weights, at.stride, {bias, 0}, to,
                                                  on.mostly_zeros);
    } else {
      rows_times<Finish::none, T>(on.inputs, on.rows, at.inputs, weights, at.stride, {bias, 0}, to, on.mostly_zeros);
    }
    activate(at.activation, T(at.setting), on.z, on.outputs, on.rows, at.outputs, at.stride);
  }

  // errors = delta @ weights.T, for the layer below; `turned_over` are the weights as (outputs, inputs). The answer is
  // true where they are carried through that layer's activation already.
  template <class T>
  static bool backward(const Layer& at, const Stage<T>& on, const T* turned_over, RowList<T> delta,
                       const Below<T>& below, T* errors) {
    const T* const across = at.turned ? on.parameters : turned_over;
    if (below.whole && is_small<T>(on.rows, at.input_stride) && !is<Softmax>(below.at.activation)) {
      small_errors(at, below.at, across, delta[0], on.rows, below.z, below.outputs, errors);
      return true;
    }
    const Matrix<T> to{errors, at.input_stride};
    if (at.input_is_packed) {
      dots<T>(delta, on.rows, at.outputs, {on.parameters, at.stride}, at.inputs, nullptr, errors);
    } else if (below.whole && is<Relu>(below.at.activation)) {
      rows_times<Finish::where_positive, T>(delta, on.rows, at.outputs, {across, at.turned_stride}, at.turned_stride, {},
                                            to, false, below.outputs);
      return true;
    } else {
      rows_times<Finish::none, T>(delta, on.rows, at.outputs, {across, at.turned_stride}, at.turned_stride, {}, to);
    }
    return false;
  }

  // gradient[block] (+)= inputs.T @ delta, as rows of a stride.
  template <class T>
  static void learn(const Layer& at, const Stage<T>& on, RowList<T> delta, const Block& block, bool adding,
                    Matrix<T> gradient) {
    const RowList<T> left = at.turned ? delta : on.inputs, right = at.turned ? on.inputs : delta;
    if (is_small<T>(on.rows, at.stride_of_weights()))
      small_gradient(left, block.first_row, block.rows, right, on.rows, adding, gradient.data);
    else
      columns_times<T>(left, block.first_row, block.rows, on.rows,
                       {right[0] + block.first_column, at.stride_of_weights()}, block.columns,
                       adding ? Start<T>{gradient.data, gradient.stride} : Start<T>{}, gradient, on.mostly_zeros);
    if (at.turned)  // inputs in the padding need not be zero, weights there must
      for (Index r = 0; r < block.rows; ++r)
        for (Index i = larger(at.inputs - block.first_column, 0); i < block.columns; ++i) gradient.row(r)[i] = 0;
  }

  // A row's gradient of the weights, inputs.T @ delta, as Python has them. What lies behind it may be written, too.
  template <class T>
  static void learn_row(const Layer& at, const T* inputs, const T* delta, const T*, T* gradient) {
    constexpr Index w = width<T>;
    if (at.outputs == 1) {
      for (Index i = 0; i < at.inputs; ++i) gradient[i] = inputs[i] * delta[0];
      return;
    }
    if (at.outputs <= w && !at.turned) {  // its padding of zeros goes with it
      const Vec<T> all = load(delta);
      for (Index i = 0; i < at.inputs; ++i) store(gradient + i * at.outputs, inputs[i] * all);
      return;
    }
    for (Index i = 0; i < at.inputs; ++i)
      for (Index o = 0; o < at.outputs; ++o) gradient[i * at.outputs + o] = inputs[i] * delta[o];
  }
};

}  // namespace nineline::NINELINE_LEVEL
