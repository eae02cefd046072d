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
  std::uint64_t seeds[lanes<T>];
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
  if (from.own != nullptr) work(LeftInLanes<T>{{from.own, from.columns, 1}});
  else work(LeftShared<T>{from.shared});
}
template <class T, class Work>
inline void with_columns(const Source<T>& from, const Work& work) {
  if (from.own != nullptr) work(LeftInLanes<T>{{from.own, 1, from.columns}});
  else work(LeftSharedTurned<T>{from.shared});
}

// Calls work(lane) for the first lane of each vector of a number.
template <class T, class Work>
inline void each_vector(const Work& work) {
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) work(Index(v * width<T>));
}

// p_j = exp(z_j - max z) / sum, row by row.
template <class T>
inline void softmax_in_lanes(const T* z, T* p, Index rows, Index outputs) {
  constexpr Index n = lanes<T>;
  each_vector<T>([&](Index lane) {
    for (Index r = 0; r < rows; ++r) {
      const T* const from = z + r * outputs * n + lane;
      T* const to = p + r * outputs * n + lane;
      Vec<T> highest = load(from), sum{};
      for (Index j = 1; j < outputs; ++j) highest = maximum(highest, load(from + j * n));
      for (Index j = 0; j < outputs; ++j) {
        const Vec<T> power = exp(load(from + j * n) - highest);
        sum += power;
        store(to + j * n, power);
      }
      const Vec<T> share = 1 / sum;
      for (Index j = 0; j < outputs; ++j) store(to + j * n, load(to + j * n) * share);
    }
  });
}

// errors = p * (errors - errors . p), row by row.
template <class T>
inline void softmax_backward_in_lanes(const T* p, T* errors, Index rows, Index outputs) {
  constexpr Index n = lanes<T>;
  each_vector<T>([&](Index lane) {
    for (Index r = 0; r < rows; ++r) {
      const T* const from = p + r * outputs * n + lane;
      T* const to = errors + r * outputs * n + lane;
      Vec<T> along{};
      for (Index j = 0; j < outputs; ++j) along += load(to + j * n) * load(from + j * n);
      for (Index j = 0; j < outputs; ++j) store(to + j * n, load(from + j * n) * (load(to + j * n) - along));
    }
  });
}

template <class T>
inline void activate_in_lanes(const Layer& at, const T* z, T* y, Index rows) {
  const Index numbers = at.outputs * lanes<T>;
  if (is<Softmax>(at.activation)) softmax_in_lanes(z, y, rows, at.outputs);
  else activate(at.activation, T(at.setting), z, y, rows, numbers, numbers);
}

template <class T>
inline void carry_back_in_lanes(const Layer& at, const T* z, const T* y, T* errors, Index rows) {
  const Index numbers = at.outputs * lanes<T>;
  if (is<Softmax>(at.activation)) softmax_backward_in_lanes(y, errors, rows, at.outputs);
  else carry_back(at.activation, T(at.setting), z, y, errors, rows, numbers, numbers);
}

// Each kind has `beside`, how many numbers of a row are kept for the way back, and forward, backward and learn as
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
    const T* const bias = at.bias ? on.parameters + at.height * at.outputs * lanes<T> : nullptr;
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
    constexpr Index n = lanes<T>;
    const T kept = T(1 / (1 - at.rate));
    for (Index l = 0; l < n; ++l) {
      const Draw draw{on.drawing->seeds[l], on.drawing->step, at.draws};
      for (Index r = 0; r < on.rows; ++r)
        for (Index i = 0; i < at.inputs; ++i)
          on.beside[(r * at.inputs + i) * n + l] = draw.is_kept(at.rate, on.in_batch + r, i) ? kept : T(0);
    }
    for (Index r = 0; r < on.rows; ++r)
      for (Index i = 0; i < at.inputs; ++i)
        each_vector<T>([&](Index lane) {
          const Index place = (r * at.inputs + i) * n + lane;
          store(on.outputs + place, on.inputs(r, i, lane) * load(on.beside + place));
        });
  }

  template <class T>
  static void backward(const Layer& at, const StageInLanes<T>& on, const T* errors, T* to) {
    for (Index i = 0; i < on.rows * at.inputs * lanes<T>; i += width<T>)
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
    constexpr Index w = lanes<T>;
    const Index n = at.inputs;
    for (Index r = 0; r < on.rows; ++r)
      each_vector<T>([&](Index lane) {
        const T *const gain = on.parameters + lane, *const bias = on.parameters + n * w + lane;
        T *const kept = on.beside + r * (n + 1) * w + lane, *const to = on.outputs + r * n * w + lane;
        Vec<T> mean{}, variance{};
        for (Index i = 0; i < n; ++i) mean += on.inputs(r, i, lane);
        mean = mean / T(n);
        for (Index i = 0; i < n; ++i) {
          const Vec<T> from_mean = on.inputs(r, i, lane) - mean;
          variance += from_mean * from_mean;
          store(kept + i * w, from_mean);
        }
        const Vec<T> factor = 1 / square_root(variance / T(n) + T(at.epsilon));
        for (Index i = 0; i < n; ++i) {
          store(kept + i * w, load(kept + i * w) * factor);
          store(to + i * w, load(gain + i * w) * load(kept + i * w) + load(bias + i * w));
        }
        store(kept + n * w, factor);
      });
  }

  template <class T>
  static void backward(const Layer& at, const StageInLanes<T>& on, const T* errors, T* to) {
    constexpr Index w = lanes<T>;
    const Index n = at.inputs;
    for (Index r = 0; r < on.rows; ++r)
      each_vector<T>([&](Index lane) {
        const T *const e = errors + r * n * w + lane, *const kept = on.beside + r * (n + 1) * w + lane;
        const auto g = [&](Index i) { return load(e + i * w) * load(on.parameters + i * w + lane); };
        Vec<T> mean{}, along{};
        for (Index i = 0; i < n; ++i) {
          mean += g(i);
          along += g(i) * load(kept + i * w);
        }
        mean = mean / T(n), along = along / T(n);
        const Vec<T> factor = load(kept + n * w);
        for (Index i = 0; i < n; ++i)  // a row of one number is always 0, and what is left of the differences is rounding
          store(to + (r * n + i) * w + lane, n == 1 ? Vec<T>{} : (g(i) - mean - load(kept + i * w) * along) * factor);
      });
  }

  template <class T>
  static void learn(const Layer& at, const StageInLanes<T>& on, const T* errors, bool adding, T* gain) {
    constexpr Index w = lanes<T>;
    for (Index i = 0; i < at.inputs; ++i)
      each_vector<T>([&](Index lane) {
        Vec<T> sum = adding ? load(gain + i * w + lane) : Vec<T>{};
        for (Index r = 0; r < on.rows; ++r)
          sum += load(errors + (r * at.inputs + i) * w + lane) * load(on.beside + (r * (at.inputs + 1) + i) * w + lane);
        store(gain + i * w + lane, sum);
      });
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
        each_vector<T>([&](Index lane) {
          store(on.outputs + (r * at.outputs + i) * lanes<T> + lane, on.inputs(r, i, lane) + on.other(r, i, lane));
        });
  }

  template <class T>
  static void backward(const Layer& at, const StageInLanes<T>& on, const T* errors, T* to) {
    __builtin_memcpy(to, errors, std::size_t(on.rows * at.outputs * lanes<T>) * sizeof(T));
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

// Writes factor * gradient into delta and adds the sum of factor * value to the total of each network.
template <class T, class Value, class Gradient>
inline void sweep_in_lanes(const OutputsInLanes<T>& at, T* delta, double* total, const Value& value, const Gradient& gradient) {
  constexpr Index n = lanes<T>;
  each_vector<T>([&](Index lane) {
    Vec<T> sum{};
    for (Index r = 0; r < at.rows; ++r) {
      const Vec<T> factor = load(at.factors + r * n + lane);
      for (Index o = 0; o < at.outputs; ++o) {
        const Index place = (r * at.outputs + o) * n + lane;
        const Vec<T> z = load(at.z + place), y = load(at.y + place), t = load(at.targets + place);
        sum += factor * value(z, y, t, o);
        store(delta + place, factor * gradient(y, t, o));
      }
    }
    add_lanes<T>(sum, total + lane);
  });
}

// log(sum_j exp(z_j)) - sum_j t_j z_j, row by row, with the largest z taken off first: the largest y is 1 over the sum of
// what is left.
template <class T>
inline void cross_entropy_in_lanes(const OutputsInLanes<T>& at, T* delta, double* total) {
  constexpr Index n = lanes<T>;
  each_vector<T>([&](Index lane) {
    Vec<T> sum{};
    for (Index r = 0; r < at.rows; ++r) {
      const Index begin = r * at.outputs * n + lane, end = begin + at.outputs * n;
      const Vec<T> factor = load(at.factors + r * n + lane);
      Vec<T> highest = load(at.z + begin), largest = load(at.y + begin);
      for (Index i = begin + n; i < end; i += n) {
        highest = maximum(highest, load(at.z + i));
        largest = maximum(largest, load(at.y + i));
      }
      Vec<T> value = -log(largest);
      for (Index i = begin; i < end; i += n) {
        const Vec<T> t = load(at.targets + i);
        value -= t * (load(at.z + i) - highest);
        store(delta + i, factor * (load(at.y + i) - t));
      }
      sum += factor * value;
    }
    add_lanes<T>(sum, total + lane);
  });
}

// Adds the loss of some rows to the total of each network; delta becomes the errors of the last weighted sums.
template <class T>
inline void measure_in_lanes(const LossSpec& loss, const Layer& last, const OutputsInLanes<T>& at, T* delta, double* total) {
  using V = Vec<T>;
  const auto setting = [&](Index output) {
    return splat(T(loss.settings == nullptr ? loss.setting : loss.settings[output]));
  };
  with_loss(loss.kind, [&](auto kind) {
    using Kind = decltype(kind);
    if constexpr (!std::is_void_v<typename Kind::Joins>) {
      if (joins<Kind>(last.activation)) {
        if constexpr (std::is_same_v<Kind, CrossEntropy>) cross_entropy_in_lanes(at, delta, total);
        else
          sweep_in_lanes(at, delta, total, [](V z, V y, V t, Index) { return Kind::joined_value(z, y, t); },
                         [](V y, V t, Index) { return y - t; });
        return;
      }
    }
    if constexpr (!Kind::only_joined) {
      sweep_in_lanes(at, delta, total, [&](V, V y, V t, Index o) { return Kind::value(y, t, setting(o)); },
                     [&](V y, V t, Index o) { return Kind::gradient(y, t, setting(o)); });
      carry_back_in_lanes(last, at.z, at.y, delta, at.rows);
    }
  });
}

}  // namespace nineline::NINELINE_LEVEL
