// Losses: a value and its gradient, side by side, and the closed forms behind a sigmoid, a softmax or an exponential.
//
// Twin: src/nineline/losses.py, class by class.
#pragma once

#include "activations.hpp"

namespace nineline::NINELINE_LEVEL {

// value(y, t) is the loss of one output y with target t, gradient(y, t) its derivative by y; `a` is the setting.
// A loss that `Joins` an activation has a closed form behind it: delta is y - t there, and the value is taken from the
// weighted sum z. Where it is `only_joined` no other output fits it; with `setting_of_each` each output may have a setting
// of its own. variance(y) is that of targets with mean y.
struct AnyOutput {
  using Joins = void;
  static constexpr bool setting_of_each = false;
  static constexpr bool only_joined = false;
  static constexpr Targets targets = Targets::any;
};

struct SquaredError : AnyOutput {
  static constexpr const char* name = "squared_error";
  template <class V> static V value(V y, V t, V) { return (y - t) * (y - t) * Element<V>(0.5); }
  template <class V> static V gradient(V y, V t, V) { return y - t; }
};

struct AbsoluteError : AnyOutput {
  static constexpr const char* name = "absolute_error";
  template <class V> static V value(V y, V t, V) { return absolute(y - t); }
  template <class V> static V gradient(V y, V t, V) {
    const V r = y - t;
    return r == 0 ? r : with_sign(splat(Element<V>(1)), r);
  }
};

struct Huber : AnyOutput {
  static constexpr const char* name = "huber";
  template <class V> static V value(V y, V t, V a) {
    const V r = absolute(y - t);
    return r <= a ? r * r * Element<V>(0.5) : a * (r - a * Element<V>(0.5));
  }
  template <class V> static V gradient(V y, V t, V a) {
    const V r = y - t;
    return r > a ? a : r < -a ? -a : r;
  }
};

struct Quantile : AnyOutput {
  static constexpr const char* name = "quantile";
  static constexpr bool setting_of_each = true;
  template <class V> static V value(V y, V t, V a) {
    const V r = t - y;
    return maximum((a - 1) * r, a * r);
  }
  template <class V> static V gradient(V y, V t, V a) {
    const V r = t - y;
    return r > 0 ? -a : r < 0 ? 1 - a : V{};
  }
};

template <class V>
inline V away_from_zero(V x) {
  const V tiny = splat(sizeof(Element<V>) == 4 ? Element<V>(0x1p-126) : Element<V>(0x1p-1022));
  return x < tiny ? tiny : x;
}

struct Poisson {
  static constexpr const char* name = "poisson";
  using Joins = Exponential;
  static constexpr bool setting_of_each = false;
  static constexpr bool only_joined = false;
  static constexpr Targets targets = Targets::not_negative;
  template <class V> static V value(V y, V t, V) { return y - t * log(away_from_zero(y)); }
  template <class V> static V gradient(V y, V t, V) { return 1 - t / away_from_zero(y); }
  template <class V> static V joined_value(V z, V y, V t) { return y - t * z; }
  template <class V> static V variance(V y) { return y; }
};

struct BinaryCrossEntropy {
  static constexpr const char* name = "binary_cross_entropy";
  using Joins = Sigmoid;
  static constexpr bool only_joined = true;
  static constexpr bool setting_of_each = false;
  static constexpr Targets targets = Targets::shares;
  template <class V> static V joined_value(V z, V, V t) { return softplus(z) - t * z; }
  template <class V> static V variance(V y) { return y * (1 - y); }
};

struct CrossEntropy {
  static constexpr const char* name = "cross_entropy";
  using Joins = Softmax;
  static constexpr bool only_joined = true;
  static constexpr bool setting_of_each = false;
  static constexpr Targets targets = Targets::distributions;
  template <class V> static V variance(V y) { return y; }
};

// The targets are errors that point downhill, and the gradient is minus them: where the loss lies behind a chain rule.
struct OutputErrors : AnyOutput {
  static constexpr const char* name = "output_errors";
  template <class V> static V value(V y, V t, V) { return -(t * y); }
  template <class V> static V gradient(V, V t, V) { return -t; }
};

// Every loss there is; the names are those of nineline.losses.LOSSES, and output_errors beside them.
using Losses = Types<SquaredError, AbsoluteError, Huber, Quantile, Poisson, BinaryCrossEntropy, CrossEntropy,
                     OutputErrors>;

// Calls `work` with the class of a loss.
template <class Work>
inline void with_loss(Loss kind, Work&& work) {
  Losses::at(int(kind), work);
}

template <class Kind>
inline bool joins(Activation activation) {
  if constexpr (std::is_void_v<typename Kind::Joins>) return false;
  else return is<typename Kind::Joins>(activation);
}

template <class... Kinds>
inline bool any_joins(Types<Kinds...>, Activation activation) {
  return (joins<Kinds>(activation) || ...);
}

// The outputs of a tile beside its targets. `factors` holds, for every output, what its row counts (0 in the padding);
// all have the same stride, that of the last layer.
template <class T>
struct Outputs {
  const T* z;
  const T* y;
  const T* targets;
  const T* factors;
  Index rows, outputs, stride;
};

// The settings of the outputs that lie in one vector after another; 0 in the padding.
template <class T>
class SettingsInTurn {
 public:
  SettingsInTurn(const LossSpec& loss, const Outputs<T>& at)
      : settings_{loss.settings}, outputs_{at.outputs}, stride_{at.stride} {}

  Vec<T> operator()() {
    Vec<T> next{};
    for (Index lane = 0; lane < width<T>; ++lane) {
      if (output_ < outputs_) next[lane] = T(settings_[output_]);
      if (++output_ == stride_) output_ = 0;
    }
    return next;
  }

 private:
  const double* settings_;
  Index outputs_, stride_, output_ = 0;
};

// Writes factor * gradient into delta and returns the sum of factor * value; `setting` says what that of each vector is.
template <class Kind, class T, class Setting>
inline T sweep_by(const Outputs<T>& at, T* delta, Setting setting) {
  Vec<T> total{};
  for (Index i = 0; i < at.rows * at.stride; i += width<T>) {
    const Vec<T> y = load(at.y + i), t = load(at.targets + i), factor = load(at.factors + i), a = setting();
    total += factor * Kind::value(y, t, a);
    store(delta + i, factor * Kind::gradient(y, t, a));
  }
  return sum(total);
}

template <class Kind, class T>
inline T sweep(const Outputs<T>& at, const LossSpec& loss, T* delta) {
  if constexpr (Kind::setting_of_each)
    if (loss.settings != nullptr) return sweep_by<Kind>(at, delta, SettingsInTurn<T>{loss, at});
  const Vec<T> a = splat(T(loss.setting));
  return sweep_by<Kind>(at, delta, [&] { return a; });
}

template <class Kind, class T>
inline T joined_sweep(const Outputs<T>& at, const LossSpec&, T* delta) {
  Vec<T> total{};
  for (Index i = 0; i < at.rows * at.stride; i += width<T>) {
    const Vec<T> y = load(at.y + i), t = load(at.targets + i), factor = load(at.factors + i);
    total += factor * Kind::joined_value(load(at.z + i), y, t);
    store(delta + i, factor * (y - t));
  }
  return sum(total);
}

// log(sum_j exp(z_j)) - sum_j t_j z_j, row by row, with the largest z taken off first.
template <class T>
inline T cross_entropy_of_softmax(const Outputs<T>& at, const LossSpec&, T* delta) {
  T total = 0;
  for (Index r = 0; r < at.rows; ++r) {
    const T *z = at.z + r * at.stride, *y = at.y + r * at.stride, *t = at.targets + r * at.stride;
    Index highest = 0;
    for (Index j = 1; j < at.outputs; ++j) highest = z[j] > z[highest] || z[j] != z[j] ? j : highest;
    // y at the highest is 1 / sum exp(z - max), so its logarithm is minus the logarithm of that sum
    T value = -log(splat(y[highest]))[0];
    const T factor = at.factors[r * at.stride];
    T* d = delta + r * at.stride;
    for (Index j = 0; j < at.outputs; ++j) {
      value -= t[j] * (z[j] - z[highest]);
      d[j] = factor * (y[j] - t[j]);
    }
    total += factor * value;
  }
  return total;
}

// A loss behind an activation as one of these sweeps. After one that is not joined, delta has to be carried back.
template <class T>
struct Sweep {
  T (*over)(const Outputs<T>&, const LossSpec&, T* delta) = nullptr;
  bool joined = false;
};

template <class T>
inline Sweep<T> sweep_of(Loss loss, Activation activation) {
  Sweep<T> found;
  with_loss(loss, [&](auto kind) {
    using Kind = decltype(kind);
    if constexpr (!Kind::only_joined) found = {sweep<Kind, T>, false};
    if constexpr (std::is_same_v<Kind, CrossEntropy>) found = {cross_entropy_of_softmax<T>, true};
    else if constexpr (!std::is_void_v<typename Kind::Joins>)
      if (joins<Kind>(activation)) found = {joined_sweep<Kind, T>, true};
  });
  return found;
}

// The loss of a tile; delta becomes the errors of the last weighted sums.
template <class T>
inline T measure(const LossSpec& loss, Activation activation, T activation_setting, const Outputs<T>& at, T* delta) {
  const Sweep<T> sweep = sweep_of<T>(loss.kind, activation);
  const T total = sweep.over(at, loss, delta);
  if (!sweep.joined) carry_back(activation, activation_setting, at.z, at.y, delta, at.rows, at.outputs, at.stride);
  return total;
}

}  // namespace nineline::NINELINE_LEVEL
