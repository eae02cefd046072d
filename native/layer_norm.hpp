// Layer normalisation: each row at mean 0 and standard deviation 1, then a gain and a bias.
//
// As its weights it has the gain, one row of them. Beside a row of outputs it keeps the row before gain and bias, and
// behind that what the row was multiplied by. Twin: LayerNorm in src/nineline/layers/layer_norm.py.
#pragma once

#include "layers.hpp"

namespace nineline::NINELINE_LEVEL {

struct LayerNorm {
  static constexpr const char* name = "layer_norm";
  static constexpr bool runs = true;

  static Index parameters(const LayerSpec& layer) { return 2 * layer.inputs; }

  template <class T>
  static double lay_out(Layer& at, const Before&) {
    at.height = 1;
    at.bias = true;
    at.beside = at.stride + width<T>;
    return 20 * double(at.stride);
  }

  // outputs = gain * (inputs - mean) / sqrt(variance + epsilon) + bias, mean and variance those of the row.
  template <class T>
  static void forward(const Layer& at, const Stage<T>& on) {
    constexpr Index w = width<T>;
    const T *const gain = on.parameters, *const bias = on.parameters + at.weights;
    for (Index r = 0; r < on.rows; ++r) {
      T* const row = on.outputs + r * at.stride;
      on.copy_inputs(r, at.inputs, row);
      for (Index i = at.inputs; i < at.stride; ++i) row[i] = 0;  // a pass that diverged may have left NaN there
      const Vec<T> mean = splat(sum_over<T>(at.stride, [&](Index i) { return load(row + i); }) / T(at.inputs));
      for (Index i = 0; i < at.stride; i += w) store(row + i, load(row + i) - mean);
      for (Index i = at.inputs; i < at.stride; ++i) row[i] = 0;
      const T variance = sum_over<T>(at.stride, [&](Index i) { return load(row + i) * load(row + i); }) / T(at.inputs);
      const T factor = 1 / T(__builtin_sqrt(variance + T(at.epsilon)));
      T* const kept = on.beside == nullptr ? row : on.beside + r * at.beside;
      for (Index i = 0; i < at.stride; i += w) store(kept + i, load(row + i) * factor);
      if (on.beside != nullptr) kept[at.stride] = factor;
      for (Index i = 0; i < at.stride; i += w) store(row + i, load(gain + i) * load(kept + i) + load(bias + i));
    }
  }

  // With n the row before gain and bias and g = errors * gain: (g - mean(g) - n * mean(g * n)) * factor.
  template <class T>
  static bool backward(const Layer& at, const Stage<T>& on, const T*, RowList<T> errors, const Below<T>&, T* to) {
    const T* const gain = on.parameters;
    if (at.inputs == 1) {  // a row of one number is always 0; what is left of the differences below is their rounding
      for (Index r = 0; r < on.rows; ++r) to[r * at.input_stride] = 0;
      return false;
    }
    for (Index r = 0; r < on.rows; ++r) {
      const T *const e = errors[r], *const n = on.beside + r * at.beside;
      const auto g = [&](Index i) { return load(e + i) * load(gain + i); };
      const Vec<T> mean = splat(sum_over<T>(at.stride, g) / T(at.inputs));
      const Vec<T> along = splat(sum_over<T>(at.stride, [&](Index i) { return g(i) * load(n + i); }) / T(at.inputs));
      const Vec<T> factor = splat(n[at.stride]);
      write_row(at.inputs, to + r * at.input_stride,
                [&](Index i) { return (g(i) - mean - load(n + i) * along) * factor; });
    }
    return false;
  }

  // The gradient of the gain: (+)= the sum over the rows of errors * n.
  template <class T>
  static void learn(const Layer& at, const Stage<T>& on, RowList<T> errors, const Block& block, bool adding,
                    Matrix<T> gradient) {
    for (Index i = 0; i < block.columns; i += width<T>) {
      Vec<T> sum = adding ? load(gradient.data + i) : Vec<T>{};
      const Index column = block.first_column + i;
      for (Index r = 0; r < on.rows; ++r) sum += load(errors[r] + column) * load(on.beside + r * at.beside + column);
      store(gradient.data + i, sum);
    }
  }

  // A row's gradient of the gain.
  template <class T>
  static void learn_row(const Layer& at, const T*, const T* errors, const T* beside, T* gradient) {
    for (Index i = 0; i < at.inputs; ++i) gradient[i] = errors[i] * beside[i];
  }

 private:
  // The sum of the vectors from(0), from(w), ... below a stride.
  template <class T, class From>
  static T sum_over(Index stride, const From& from) {
    Vec<T> all{};
    for (Index i = 0; i < stride; i += width<T>) all += from(i);
    return sum(all);
  }
};

}  // namespace nineline::NINELINE_LEVEL
