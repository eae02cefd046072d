// Optimizers: each rule reads as its formula, on vectors of parameters.
//
// p parameters, g gradient, r the learning rate of the step, t its number from 1. of(spec, t, powers) is the rule of a
// step, and at(r) the same at a learning rate, which is one number or one a lane; `moments` is how many vectors it
// remembers, and `powers` what it raises.
// Twin: src/nineline/optimizers.py, class by class.
#pragma once

#include "arrays.hpp"
#include "specs.hpp"
#include "types.hpp"

namespace nineline::NINELINE_LEVEL {

// x^t by squaring.
inline double power(double x, std::uint64_t t) {
  double result = 1;
  for (; t > 0; t >>= 1, x *= x)
    if (t & 1) result *= x;
  return result;
}

// x^t for one t after another: x^(64 n) by squaring, and from there on times x. The bits depend on x and t alone.
class Powers {
 public:
  double of(double x, std::uint64_t t) {
    if (t != t_ + 1 || x != x_ || t % 64 == 0) {
      first_ = power(x, t - t % 64);
      rest_ = 1;
      for (std::uint64_t i = 0; i < t % 64; ++i) rest_ *= x;
    } else {
      rest_ *= x;
    }
    t_ = t, x_ = x;
    return first_ * rest_;
  }

 private:
  double x_ = 0, first_ = 1, rest_ = 1;
  std::uint64_t t_ = 0;
};

// 1 / (sqrt(s) + epsilon) for s >= 0; 0 where s is infinite.
template <class V>
inline V inverse_of_root(V s, Element<V> epsilon) {
  using T = Element<V>;
  const V tiny = splat(sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022));
  const V held = maximum(tiny, s);
  const V result = inverse(held * inverse_square_root(held) + epsilon);
  return s == T(__builtin_inf()) ? V{} : result;
}

// Learning rates of the networks in the lanes of vectors, to be used as Vec<T>.
template <class T>
struct RatesInLanes {
  double each[width<T>];
  RatesInLanes operator*(double factor) const {
    RatesInLanes product;
    for (int l = 0; l < width<T>; ++l) product.each[l] = each[l] * factor;
    return product;
  }
  explicit operator Vec<T>() const {
    T rates[width<T>];
    for (int l = 0; l < width<T>; ++l) rates[l] = T(each[l]);
    return load(rates);
  }
};

// p -= r g; with momentum m: v = m v - r g, p += v; with Nesterov's: p += m v - r g.
template <class T, class Rate = T>
struct GradientDescent {
  static constexpr const char* name = "gradient_descent";
  static constexpr int moments = 0;
  Rate rate{};
  static GradientDescent of(const RuleSpec&, std::uint64_t, Powers*) { return {}; }
  template <class Given>
  GradientDescent at(const Given& r) const { return {Rate(r)}; }
  Vec<T> operator()(Vec<T> p, Vec<T> g, Vec<T>&, Vec<T>&) const { return p - rate * g; }
};

template <class T, class Rate = T>
struct Momentum {
  static constexpr const char* name = "momentum";
  static constexpr int moments = 1;
  T momentum;
  bool nesterov;
  Rate rate{};
  static Momentum of(const RuleSpec& spec, std::uint64_t, Powers*) { return {T(spec.momentum), spec.nesterov}; }
  template <class Given>
  Momentum at(const Given& r) const { return {momentum, nesterov, Rate(r)}; }
  Vec<T> operator()(Vec<T> p, Vec<T> g, Vec<T>& v, Vec<T>&) const {
    v = momentum * v - rate * g;
    return nesterov ? p + (momentum * v - rate * g) : p + v;
  }
};

// s = d s + (1 - d) g^2; p -= r g / (sqrt(s) + epsilon).
template <class T, class Rate = T>
struct RMSprop {
  static constexpr const char* name = "rmsprop";
  static constexpr int moments = 1;
  T decay, rest, epsilon;
  Rate rate{};
  static RMSprop of(const RuleSpec& spec, std::uint64_t, Powers*) {
    return {T(spec.beta_2), T(1 - spec.beta_2), T(spec.epsilon)};
  }
  template <class Given>
  RMSprop at(const Given& r) const { return {decay, rest, epsilon, Rate(r)}; }
  Vec<T> operator()(Vec<T> p, Vec<T> g, Vec<T>& s, Vec<T>&) const {
    s = decay * s + rest * (g * g);
    return p - rate * g * inverse_of_root(s, epsilon);
  }
};

// p -= r weight_decay p; m = b1 m + (1 - b1) g; s = b2 s + (1 - b2) g^2;
// p -= r (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + epsilon).
template <class T, class Rate = T>
struct Adam {
  static constexpr const char* name = "adam";
  static constexpr int moments = 2;
  T beta_1, rest_1, beta_2, rest_2, epsilon;
  double unbiased_1, weight_decay;  // 1 / (1 - b1^t)
  T unbiased_2;                     // 1 / (1 - b2^t)
  Rate rate{}, shrink{};
  static Adam of(const RuleSpec& spec, std::uint64_t t, Powers* powers) {
    const double unbiased_2 = 1 / (1 - powers[1].of(spec.beta_2, t));
    const double epsilon = spec.epsilon * (spec.epsilon_hat ? __builtin_sqrt(unbiased_2) : 1);
    return {T(spec.beta_1), T(1 - spec.beta_1), T(spec.beta_2), T(1 - spec.beta_2), T(epsilon),
            1 / (1 - powers[0].of(spec.beta_1, t)), spec.weight_decay, T(unbiased_2)};
  }
  template <class Given>
  Adam at(const Given& r) const {
    Adam rule = *this;
    rule.rate = Rate(r * unbiased_1);
    rule.shrink = Rate(r * weight_decay);
    return rule;
  }
  Vec<T> operator()(Vec<T> p, Vec<T> g, Vec<T>& m, Vec<T>& s) const {
    m = beta_1 * m + rest_1 * g;
    s = beta_2 * s + rest_2 * (g * g);
    return p - shrink * p - rate * m * inverse_of_root(s * unbiased_2, epsilon);
  }
};

// Every optimizer there is, as the native engine tells them apart (AdamW is an adam with a weight_decay).
template <class T, class Rate = T>
using Optimizers = Types<GradientDescent<T, Rate>, Momentum<T, Rate>, RMSprop<T, Rate>, Adam<T, Rate>>;

inline int moments_of(Optimizer kind) {
  int moments = 0;
  Optimizers<float>::at(int(kind), [&](auto rule) { moments = rule.moments; });
  return moments;
}

// Calls `work` with the rule of step t.
template <class T, class Rate = T, class Work>
inline void with_rule(const RuleSpec& spec, std::uint64_t t, Powers* powers, Work&& work) {
  Optimizers<T, Rate>::at(int(spec.kind), [&](auto kind) { work(decltype(kind)::of(spec, t, powers)); });
}

// The vectors of training, all laid out alike.
template <class T>
struct Vectors {
  T* parameters;
  T* moments[most_moments];
};

// One step of a rule on numbers that lie side by side from `begin`, whole vectors of them. Where there is `before`,
// what they were before the step is kept there.
template <class T, class Step>
inline void update(const Step& step, const Vectors<T>& at, const Vectors<T>& before, Index begin, Index count,
                   const T* gradient, T scale) {
  for (Index i = begin; i < begin + count; i += width<T>, gradient += width<T>) {
    Vec<T> first{}, second{};
    if constexpr (Step::moments > 0) first = load(at.moments[0] + i);
    if constexpr (Step::moments > 1) second = load(at.moments[1] + i);
    const Vec<T> parameters = load(at.parameters + i);
    if (before.parameters != nullptr) {
      store(before.parameters + i, parameters);
      if constexpr (Step::moments > 0) store(before.moments[0] + i, first);
      if constexpr (Step::moments > 1) store(before.moments[1] + i, second);
    }
    store(at.parameters + i, step(parameters, scale * load(gradient), first, second));
    if constexpr (Step::moments > 0) store(at.moments[0] + i, first);
    if constexpr (Step::moments > 1) store(at.moments[1] + i, second);
  }
}

}  // namespace nineline::NINELINE_LEVEL
