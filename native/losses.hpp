// Losses: a value and its gradient, side by side, and the closed forms behind a sigmoid, a softmax or an exponential.
//
// Twin: src/nineline/losses.py, class by class.
#pragma once

#include "activations.hpp"

namespace nineline::NINELINE_LEVEL {

// value(y, t) is the loss of one output y with target t, gradient(y, t) its derivative by y; `a` is the setting.
struct SquaredError {
  template <class V> static V value(V y, V t, V) { return (y - t) * (y - t) * Element<V>(0.5); }
  template <class V> static V gradient(V y, V t, V) { return y - t; }
};

struct AbsoluteError {
  template <class V> static V value(V y, V t, V) { return absolute(y - t); }
  template <class V> static V gradient(V y, V t, V) {
    const V r = y - t;
    return r == 0 ? r : with_sign(splat(Element<V>(1)), r);
  }
};

struct Huber {
  template <class V> static V value(V y, V t, V a) {
    const V r = absolute(y - t);
    return r <= a ? r * r * Element<V>(0.5) : a * (r - a * Element<V>(0.5));
  }
  template <class V> static V gradient(V y, V t, V a) {
    const V r = y - t;
    return r > a ? a : r < -a ? -a : r;
  }
};

struct Quantile {
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
  template <class V> static V value(V y, V t, V) { return y - t * log(away_from_zero(y)); }
  template <class V> static V gradient(V y, V t, V) { return 1 - t / away_from_zero(y); }
};

// Behind the activation that a loss is joined with, delta is y - t, and the value is taken from the weighted sum z.
struct PoissonOfExponential {
  template <class V> static V value(V z, V y, V t) { return y - t * z; }
};

struct CrossEntropyOfSigmoid {
  template <class V> static V value(V z, V, V t) { return softplus(z) - t * z; }
};

inline bool joined(Loss loss, Activation activation) {
  return (loss == Loss::poisson && activation == Activation::exponential) ||
         (loss == Loss::binary_cross_entropy && activation == Activation::sigmoid) ||
         (loss == Loss::cross_entropy && activation == Activation::softmax);
}

// The outputs of a tile beside its targets. `factors` holds, for every output, what its row counts (0 in the padding);
// all have the same stride, that of the last layer.
template <class T>
struct Answers {
  const T* z;
  const T* y;
  const T* targets;
  const T* factors;
  Index rows, outputs, stride;
};

// Writes factor * gradient into delta and returns the sum of factor * value.
template <class Loss, class T>
inline T sweep(const Answers<T>& at, T setting, T* delta) {
  const Vec<T> a = splat(setting);
  Vec<T> total{};
  for (Index i = 0; i < at.rows * at.stride; i += width<T>) {
    const Vec<T> y = load(at.y + i), t = load(at.targets + i), factor = load(at.factors + i);
    total += factor * Loss::value(y, t, a);
    store(delta + i, factor * Loss::gradient(y, t, a));
  }
  return sum(total);
}

template <class Loss, class T>
inline T joined_sweep(const Answers<T>& at, T* delta) {
  Vec<T> total{};
  for (Index i = 0; i < at.rows * at.stride; i += width<T>) {
    const Vec<T> y = load(at.y + i), t = load(at.targets + i), factor = load(at.factors + i);
    total += factor * Loss::value(load(at.z + i), y, t);
    store(delta + i, factor * (y - t));
  }
  return sum(total);
}

// log(sum_j exp(z_j)) - sum_j t_j z_j, row by row, with the largest z taken off first.
template <class T>
inline T cross_entropy_of_softmax(const Answers<T>& at, T* delta) {
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

// The loss of a tile; delta becomes the errors of the last weighted sums.
template <class T>
inline T measure(const LossPlan& loss, Activation activation, T activation_setting, const Answers<T>& at, T* delta) {
  const T setting = T(loss.setting);
  if (joined(loss.kind, activation)) {
    switch (loss.kind) {
      case Loss::poisson: return joined_sweep<PoissonOfExponential>(at, delta);
      case Loss::binary_cross_entropy: return joined_sweep<CrossEntropyOfSigmoid>(at, delta);
      default: return cross_entropy_of_softmax(at, delta);
    }
  }
  T total = 0;
  switch (loss.kind) {
    case Loss::squared_error: total = sweep<SquaredError>(at, setting, delta); break;
    case Loss::absolute_error: total = sweep<AbsoluteError>(at, setting, delta); break;
    case Loss::huber: total = sweep<Huber>(at, setting, delta); break;
    case Loss::quantile: total = sweep<Quantile>(at, setting, delta); break;
    case Loss::poisson: total = sweep<Poisson>(at, setting, delta); break;
    default: break;  // the cross-entropies are always joined
  }
  carry_back(activation, activation_setting, at.z, at.y, delta, at.rows, at.outputs, at.stride);
  return total;
}

}  // namespace nineline::NINELINE_LEVEL
