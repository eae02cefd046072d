// Layers and losses of networks that lie in lanes: what dense.hpp, dropout.hpp, layer_norm.hpp, residual.hpp,
// activations.hpp and losses.hpp do with features in the lanes, with networks there.
//
// A kind that is not here is `known` to be missing, and networks that have it are trained one by one.
#pragma once

#include "lanes.hpp"

namespace nineline::NINELINE_LEVEL {

// The numbers that the draws of a step are keyed by: a seed for each network.
template <class T>
struct DrawingInLanes {
  std::uint64_t seeds[width<T>];
  std::uint64_t step;
};

// Some rows at a layer.
template <class T>
struct StageInLanes {
  const T* parameters;  // the layer's own
  Index rows, in_batch;
  Source<T> inputs, other;  // and what a shortcut adds
  T *z, *outputs, *beside;  // z are the outputs where they are not kept
  const DrawingInLanes<T>* drawing;  // null where the network runs
};

// Calls what(left) with the left side that rows of a source make, as they lie or turned over.
template <class T, class Work>
inline void with_rows(const Source<T>& from, const Work& work) {
  if (from.lanes != nullptr) work(LeftInLanes<T>{{from.lanes, from.columns, 1}});
  else work(LeftShared<T>{from.shared});
}
template <class T, class Work>
inline void with_columns(const Source<T>& from, const Work& work) {
  if (from.lanes != nullptr) work(LeftInLanes<T>{{from.lanes, 1, from.columns}});
  else work(LeftSharedTurned<T>{from.shared});
}

// p_j = exp(z_j - max z) / sum, row by row.
template <class T>
inline void softmax_in_lanes(const T* z, T* p, Index rows, Index outputs) {
  constexpr Index w = width<T>;
  for (Index r = 0; r < rows; ++r, z += outputs * w, p += outputs * w) {
    Vec<T> highest = load(z), sum{};
    for (Index j = 1; j < outputs; ++j) highest = maximum(highest, load(z + j * w));
    for (Index j = 0; j < outputs; ++j) {
      const Vec<T> power = exp(load(z + j * w) - highest);
      sum += power;
      store(p + j * w, power);
    }
    const Vec<T> share = 1 / sum;
    for (Index j = 0; j < outputs; ++j) store(p + j * w, load(p + j * w) * share);
  }
}

// errors = p * (errors - errors . p), row by row.
template <class T>
inline void softmax_backward_in_lanes(const T* p, T* errors, Index rows, Index outputs) {
  constexpr Index w = width<T>;
  for (Index r = 0; r < rows; ++r, p += outputs * w, errors += outputs * w) {
    Vec<T> along{};
    for (Index j = 0; j < outputs; ++j) along += load(errors + j * w) * load(p + j * w);
    for (Index j = 0; j < outputs; ++j) store(errors + j * w, load(p + j * w) * (load(errors + j * w) - along));
  }
}

template <class T>
inline void activate_in_lanes(const Layer& at, const T* z, T* y, Index rows) {
  const Index numbers = at.outputs * width<T>;
  if (is<Softmax>(at.activation)) softmax_in_lanes(z, y, rows, at.outputs);
  else activate(at.activation, T(at.setting), z, y, rows, numbers, numbers);
}

template <class T>
inline void carry_back_in_lanes(const Layer& at, const T* z, const T* y, T* errors, Index rows) {
  const Index numbers = at.outputs * width<T>;
  if (is<Softmax>(at.activation)) softmax_backward_in_lanes(y, errors, rows, at.outputs);
  else carry_back(at.activation, T(at.setting), z, y, errors, rows, numbers, numbers);
}

// Each kind has `beside`, how many vectors of a row are kept for the way back, and forward, backward and learn as
// kinds.hpp describes them: backward fills the errors of its inputs, learn the gradient, (+)=.
template <class Kind>
struct KindInLanes {
  static constexpr bool known = false;
};

template <>
struct KindInLanes<Dense> {
  static constexpr bool known = true;
  static Index beside(const Layer&) { return 0; }

  template <class T>
  static void forward(const Layer& at, const StageInLanes<T>& on) {
    const T* const bias = at.bias ? on.parameters + at.height * at.outputs * width<T> : nullptr;
    with_rows(on.inputs, [&](const auto& left) {
      product_in_lanes<T>(left, on.rows, at.inputs, {on.parameters, at.outputs, 1}, at.outputs, bias, false,
                          {on.z, at.outputs, 1});
    });
    activate_in_lanes(at, on.z, on.outputs, on.rows);
  }

  template <class T>
  static void backward(const Layer& at, const StageInLanes<T>& on, const T* errors, T* to) {
    product_in_lanes<T>(LeftInLanes<T>{{errors, at.outputs, 1}}, on.rows, at.outputs, {on.parameters, 1, at.outputs},
                        at.inputs, nullptr, false, {to, at.inputs, 1});
  }

  template <class T>
  static void learn(const Layer& at, const StageInLanes<T>& on, const T* errors, bool adding, T* weights) {
    with_columns(on.inputs, [&](const auto& left) {
      product_in_lanes<T>(left, at.inputs, on.rows, {errors, at.outputs, 1}, at.outputs, nullptr, adding,
                          {weights, at.outputs, 1});
    });
  }
};

template <>
struct KindInLanes<Dropout> {
  static constexpr bool known = true;
  static Index beside(const Layer& at) { return at.inputs; }

  template <class T>
  static void forward(const Layer& at, const StageInLanes<T>& on) {
    constexpr Index w = width<T>;
    const T kept = T(1 / (1 - at.rate));
    for (Index l = 0; l < w; ++l) {
      const Draw draw{on.drawing->seeds[l], on.drawing->step, at.draws};
      for (Index r = 0; r < on.rows; ++r)
        for (Index i = 0; i < at.inputs; ++i)
          on.beside[(r * at.inputs + i) * w + l] = draw.is_kept(at.rate, on.in_batch + r, i) ? kept : T(0);
    }
    for (Index r = 0; r < on.rows; ++r)
      for (Index i = 0; i < at.inputs; ++i) {
        const Index place = (r * at.inputs + i) * w;
        store(on.outputs + place, on.inputs(r, i) * load(on.beside + place));
      }
  }

  template <class T>
  static void backward(const Layer& at, const StageInLanes<T>& on, const T* errors, T* to) {
    for (Index i = 0; i < on.rows * at.inputs * width<T>; i += width<T>)
      store(to + i, load(errors + i) * load(on.beside + i));
  }

  template <class T>
  static void learn(const Layer&, const StageInLanes<T>&, const T*, bool, T*) {}
};

template <>
struct KindInLanes<LayerNorm> {
  static constexpr bool known = true;
  static Index beside(const Layer& at) { return at.inputs + 1; }  // the row before gain and bias, and its factor

  template <class T>
  static void forward(const Layer& at, const StageInLanes<T>& on) {
    constexpr Index w = width<T>;
    const Index n = at.inputs;
    const T *const gain = on.parameters, *const bias = on.parameters + n * w;
    for (Index r = 0; r < on.rows; ++r) {
      T *const kept = on.beside + r * (n + 1) * w, *const to = on.outputs + r * n * w;
      Vec<T> mean{}, variance{};
      for (Index i = 0; i < n; ++i) mean += on.inputs(r, i);
      mean = mean / T(n);
      for (Index i = 0; i < n; ++i) {
        const Vec<T> from_mean = on.inputs(r, i) - mean;
        variance += from_mean * from_mean;
        store(kept + i * w, from_mean);
      }
      const Vec<T> factor = 1 / square_root(variance / T(n) + T(at.epsilon));
      for (Index i = 0; i < n; ++i) {
        store(kept + i * w, load(kept + i * w) * factor);
        store(to + i * w, load(gain + i * w) * load(kept + i * w) + load(bias + i * w));
      }
      store(kept + n * w, factor);
    }
  }

  template <class T>
  static void backward(const Layer& at, const StageInLanes<T>& on, const T* errors, T* to) {
    constexpr Index w = width<T>;
    const Index n = at.inputs;
    for (Index r = 0; r < on.rows; ++r, errors += n * w, to += n * w) {
      const T* const kept = on.beside + r * (n + 1) * w;
      const auto g = [&](Index i) { return load(errors + i * w) * load(on.parameters + i * w); };
      Vec<T> mean{}, along{};
      for (Index i = 0; i < n; ++i) {
        mean += g(i);
        along += g(i) * load(kept + i * w);
      }
      mean = mean / T(n), along = along / T(n);
      const Vec<T> factor = load(kept + n * w);
      for (Index i = 0; i < n; ++i)  // a row of one number is always 0, and what is left of the differences is rounding
        store(to + i * w, n == 1 ? Vec<T>{} : (g(i) - mean - load(kept + i * w) * along) * factor);
    }
  }

  template <class T>
  static void learn(const Layer& at, const StageInLanes<T>& on, const T* errors, bool adding, T* gain) {
    constexpr Index w = width<T>;
    for (Index i = 0; i < at.inputs; ++i) {
      Vec<T> sum = adding ? load(gain + i * w) : Vec<T>{};
      for (Index r = 0; r < on.rows; ++r)
        sum += load(errors + (r * at.inputs + i) * w) * load(on.beside + (r * (at.inputs + 1) + i) * w);
      store(gain + i * w, sum);
    }
  }
};

template <>
struct KindInLanes<Shortcut> {
  static constexpr bool known = true;
  static Index beside(const Layer&) { return 0; }

  template <class T>
  static void forward(const Layer& at, const StageInLanes<T>& on) {
    for (Index r = 0; r < on.rows; ++r)
      for (Index i = 0; i < at.outputs; ++i)
        store(on.outputs + (r * at.outputs + i) * width<T>, on.inputs(r, i) + on.other(r, i));
  }

  template <class T>
  static void backward(const Layer& at, const StageInLanes<T>& on, const T* errors, T* to) {
    __builtin_memcpy(to, errors, std::size_t(on.rows * at.outputs * width<T>) * sizeof(T));
  }

  template <class T>
  static void learn(const Layer&, const StageInLanes<T>&, const T*, bool, T*) {}
};

// The outputs of some rows beside their targets, and what each row counts.
template <class T>
struct OutputsInLanes {
  const T *z, *y, *targets, *factors;
  Index rows, outputs;
};

// Writes factor * gradient into delta and returns the sum of factor * value, of each network.
template <class T, class Value, class Gradient>
inline Vec<T> sweep_in_lanes(const OutputsInLanes<T>& at, T* delta, const Value& value, const Gradient& gradient) {
  constexpr Index w = width<T>;
  Vec<T> total{};
  for (Index r = 0; r < at.rows; ++r) {
    const Vec<T> factor = load(at.factors + r * w);
    for (Index o = r * at.outputs; o < (r + 1) * at.outputs; ++o) {
      const Vec<T> z = load(at.z + o * w), y = load(at.y + o * w), t = load(at.targets + o * w);
      total += factor * value(z, y, t);
      store(delta + o * w, factor * gradient(y, t));
    }
  }
  return total;
}

// log(sum_j exp(z_j)) - sum_j t_j z_j, row by row, with the largest z taken off first: the largest y is 1 over the sum of
// what is left.
template <class T>
inline Vec<T> cross_entropy_in_lanes(const OutputsInLanes<T>& at, T* delta) {
  constexpr Index w = width<T>;
  Vec<T> total{};
  for (Index r = 0; r < at.rows; ++r) {
    const Index begin = r * at.outputs * w, end = begin + at.outputs * w;
    const Vec<T> factor = load(at.factors + r * w);
    Vec<T> highest = load(at.z + begin), largest = load(at.y + begin);
    for (Index i = begin + w; i < end; i += w) {
      highest = maximum(highest, load(at.z + i));
      largest = maximum(largest, load(at.y + i));
    }
    Vec<T> value = -log(largest);
    for (Index i = begin; i < end; i += w) {
      const Vec<T> t = load(at.targets + i);
      value -= t * (load(at.z + i) - highest);
      store(delta + i, factor * (load(at.y + i) - t));
    }
    total += factor * value;
  }
  return total;
}

// The loss of some rows, of each network; delta becomes the errors of the last weighted sums.
template <class T>
inline Vec<T> measure_in_lanes(const LossSpec& loss, const Layer& last, const OutputsInLanes<T>& at, T* delta) {
  using V = Vec<T>;
  V total{};
  const V a = splat(T(loss.setting));
  with_loss(loss.kind, [&](auto kind) {
    using Kind = decltype(kind);
    if constexpr (!std::is_void_v<typename Kind::Joins>) {
      if (joins<Kind>(last.activation)) {
        if constexpr (std::is_same_v<Kind, CrossEntropy>) total = cross_entropy_in_lanes(at, delta);
        else
          total = sweep_in_lanes(at, delta, [](V z, V y, V t) { return Kind::joined_value(z, y, t); },
                                 [](V y, V t) { return y - t; });
        return;
      }
    }
    if constexpr (!Kind::only_joined) {
      total = sweep_in_lanes(at, delta, [&](V, V y, V t) { return Kind::value(y, t, a); },
                             [&](V y, V t) { return Kind::gradient(y, t, a); });
      carry_back_in_lanes(last, at.z, at.y, delta, at.rows);
    }
  });
  return total;
}

}  // namespace nineline::NINELINE_LEVEL
