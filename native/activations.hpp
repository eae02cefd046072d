// Activations: a value and its slope, side by side. Both sweep over a whole tile as one long array.
//
// Twin: src/nineline/activations.py, class by class.
#pragma once

#include "arrays.hpp"
#include "math.hpp"
#include "specs.hpp"
#include "types.hpp"

namespace nineline::NINELINE_LEVEL {

// value(z) is the output for a weighted sum z; slope(z, y) is d y / d z, and bend(z, y) is d slope / d z, which only
// second derivatives of a network ask for. `a` is the setting (slope or alpha).
// Where `needs_z` is false the slope is written in terms of the output alone, and z is not kept.
struct Identity {
  static constexpr const char* name = "identity";
  static constexpr bool needs_z = false;
  template <class V> static V value(V z, V) { return z; }
  template <class V> static V slope(V, V, V) { return splat(Element<V>(1)); }
  template <class V> static V bend(V, V, V) { return V{}; }
};

struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  static constexpr bool needs_z = false;
  template <class V> static V value(V z, V) { return sigmoid(z); }
  template <class V> static V slope(V, V y, V) { return y * (1 - y); }
  template <class V> static V bend(V, V y, V) { return y * (1 - y) * (1 - 2 * y); }
};

struct Tanh {
  static constexpr const char* name = "tanh";
  static constexpr bool needs_z = false;
  template <class V> static V value(V z, V) { return tanh(z); }
  template <class V> static V slope(V, V y, V) { return 1 - y * y; }
  template <class V> static V bend(V, V y, V) { return -2 * y * (1 - y * y); }
};

struct Relu {
  static constexpr const char* name = "relu";
  static constexpr bool needs_z = false;
  template <class V> static V value(V z, V) { return positive_part(z); }
  template <class V> static V slope(V, V y, V) { return y > 0 ? splat(Element<V>(1)) : V{}; }
  template <class V> static V bend(V, V, V) { return V{}; }
};

struct LeakyRelu {
  static constexpr const char* name = "leaky_relu";
  static constexpr bool needs_z = true;
  template <class V> static V value(V z, V a) { return z > 0 ? z : a * z; }
  template <class V> static V slope(V z, V, V a) { return z > 0 ? splat(Element<V>(1)) : a; }
  template <class V> static V bend(V, V, V) { return V{}; }
};

struct Elu {
  static constexpr const char* name = "elu";
  static constexpr bool needs_z = true;
  template <class V> static V value(V z, V a) { return z > 0 ? z : a * expm1(z > 0 ? V{} : z); }
  template <class V> static V slope(V z, V y, V a) { return z > 0 ? splat(Element<V>(1)) : y + a; }
  template <class V> static V bend(V z, V y, V a) { return z > 0 ? V{} : y + a; }
};

struct Selu {
  static constexpr const char* name = "selu";
  static constexpr bool needs_z = true;
  static constexpr double scale = 1.0507009873554804934193349852946, alpha = 1.6732632423543772848170429916717;
  template <class V> static V value(V z, V) {
    return z > 0 ? Element<V>(scale) * z : Element<V>(scale * alpha) * expm1(z > 0 ? V{} : z);
  }
  template <class V> static V slope(V z, V y, V) {
    return z > 0 ? splat(Element<V>(scale)) : y + Element<V>(scale * alpha);
  }
  template <class V> static V bend(V z, V y, V) { return z > 0 ? V{} : y + Element<V>(scale * alpha); }
};

struct Softplus {
  static constexpr const char* name = "softplus";
  static constexpr bool needs_z = true;
  template <class V> static V value(V z, V) { return softplus(z); }
  template <class V> static V slope(V z, V, V) { return sigmoid(z); }
  template <class V> static V bend(V z, V, V) {
    const V s = sigmoid(z);
    return s * (1 - s);
  }
};

struct Exponential {
  static constexpr const char* name = "exponential";
  static constexpr bool needs_z = false;
  template <class V> static V value(V z, V) { return exp(z); }
  template <class V> static V slope(V, V y, V) { return y; }
  template <class V> static V bend(V, V y, V) { return y; }
};

struct Silu {
  static constexpr const char* name = "silu";
  static constexpr bool needs_z = true;
  template <class V> static V value(V z, V) { return z * sigmoid(z); }
  template <class V> static V slope(V z, V y, V) {
    const V s = sigmoid(z);
    return s + y * (1 - s);
  }
  template <class V> static V bend(V z, V, V) {
    const V s = sigmoid(z);
    return s * (1 - s) * (2 + z * (1 - 2 * s));
  }
};

struct Mish {
  static constexpr const char* name = "mish";
  static constexpr bool needs_z = true;
  template <class V> static V value(V z, V) { return z * tanh(softplus(z)); }
  template <class V> static V slope(V z, V, V) {
    const V t = tanh(softplus(z));
    return t + z * (1 - t * t) * sigmoid(z);
  }
  template <class V> static V bend(V z, V, V) {
    const V t = tanh(softplus(z)), s = sigmoid(z);
    return (1 - t * t) * s * (2 + z * (1 - s - 2 * t * s));
  }
};

struct Gelu {
  static constexpr const char* name = "gelu";
  static constexpr bool needs_z = true;
  template <class V> static V value(V z, V) { return z * normal_distribution(z); }
  template <class V> static V slope(V z, V, V) {
    const V density = exp(z * z * Element<V>(-0.5)) * Element<V>(0.39894228040143267794);
    return normal_distribution(z) + z * density;
  }
  template <class V> static V bend(V z, V, V) {
    return (2 - z * z) * exp(z * z * Element<V>(-0.5)) * Element<V>(0.39894228040143267794);
  }
};

// Across the outputs of a row, and so written as sweeps of its own.
struct Softmax {
  static constexpr const char* name = "softmax";
  static constexpr bool needs_z = false;
};

// Every activation there is; the names are those of nineline.activations.ACTIVATIONS.
using Activations = Types<Identity, Sigmoid, Tanh, Relu, LeakyRelu, Elu, Selu, Softplus, Exponential, Silu, Mish, Gelu,
                          Softmax>;

template <class Kind>
inline bool is(Activation kind) {
  return kind == Activation(Activations::place<Kind>);
}

// Calls `work` with the class of an activation that works element by element: all but softmax.
template <class Work>
inline void with_activation(Activation kind, Work&& work) {
  Activations::at(int(kind), [&](auto f) {
    if constexpr (!std::is_same_v<decltype(f), Softmax>) work(f);
  });
}

inline bool needs_z(Activation kind) {
  bool answer = false;
  with_activation(kind, [&](auto f) { answer = f.needs_z; });
  return answer;
}

// The sum of term(0), term(1), ...: many are added piece by piece, for one after another would lose the small ones.
template <class T, class Term>
inline T sum_of(Index count, const Term& term) {
  constexpr Index piece = 256;
  double total = 0;
  for (Index first = 0; first < count; first += piece) {
    T part = 0;
    for (Index j = first; j < smaller(first + piece, count); ++j) part += term(j);
    total += double(part);
  }
  return T(total);
}

// Softmax, row by row: p_j = exp(z_j - max z) / sum. What lies between the outputs and the stride becomes 0.
template <class T>
inline void softmax(const T* z, T* p, Index rows, Index outputs, Index stride) {
  for (Index r = 0; r < rows; ++r, z += stride, p += stride) {
    T highest = z[0];
    for (Index j = 1; j < outputs; ++j) highest = z[j] > highest || z[j] != z[j] ? z[j] : highest;
    for (Index j = 0; j < outputs; ++j) p[j] = z[j] - highest;
    for (Index j = outputs; j < stride; ++j) p[j] = 0;
  }
  p -= rows * stride;
  for (Index i = rows * stride; i < round_up(rows * stride, width<T>); ++i) p[i] = 0;  // packed rows may end in a vector
  for (Index i = 0; i < rows * stride; i += width<T>) store(p + i, exp(load(p + i)));
  for (Index r = 0; r < rows; ++r, p += stride) {
    const T share = 1 / sum_of<T>(outputs, [&](Index j) { return p[j]; });
    for (Index j = 0; j < outputs; ++j) p[j] *= share;
    for (Index j = outputs; j < stride; ++j) p[j] = 0;
  }
}

// errors = p * (errors - errors . p), row by row: the matrix diag(p) - p p' without building it.
template <class T>
inline void softmax_backward(const T* p, T* errors, Index rows, Index outputs, Index stride) {
  for (Index r = 0; r < rows; ++r, p += stride, errors += stride) {
    const T along = sum_of<T>(outputs, [&](Index j) { return errors[j] * p[j]; });
    for (Index j = 0; j < outputs; ++j) errors[j] = p[j] * (errors[j] - along);
  }
}

// Some weighted sums into outputs, by an activation that works element by element; z and y may be the same.
template <class F, class T>
inline void activate_by(T setting, const T* z, T* y, Index count) {
  const Vec<T> a = splat(setting);
  for (Index i = 0; i < count; i += width<T>) store(y + i, F::value(load(z + i), a));
}

// errors of the outputs become errors of the weighted sums, in place.
template <class F, class T>
inline void carry_back_by(T setting, const T* z, const T* y, T* errors, Index count) {
  const Vec<T> a = splat(setting);
  for (Index i = 0; i < count; i += width<T>) {
    const Vec<T> sums = F::needs_z ? load(z + i) : Vec<T>{};
    store(errors + i, load(errors + i) * F::slope(sums, load(y + i), a));
  }
}

// The same of a tile, rows of a stride, by any activation.
template <class T>
inline void activate(Activation kind, T setting, const T* z, T* y, Index rows, Index outputs, Index stride) {
  if (is<Softmax>(kind)) return softmax(z, y, rows, outputs, stride);
  if (is<Identity>(kind) && z == y) return;
  with_activation(kind, [&](auto f) { activate_by<decltype(f)>(setting, z, y, rows * stride); });
}

template <class T>
inline void carry_back(Activation kind, T setting, const T* z, const T* y, T* errors, Index rows, Index outputs,
                       Index stride) {
  if (is<Softmax>(kind)) return softmax_backward(y, errors, rows, outputs, stride);
  if (is<Identity>(kind)) return;
  with_activation(kind, [&](auto f) { carry_back_by<decltype(f)>(setting, z, y, errors, rows * stride); });
}

}  // namespace nineline::NINELINE_LEVEL
