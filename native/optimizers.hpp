// Optimizers: each rule reads as its formula, on vectors of parameters.
//
// p parameters, g gradient, r the learning rate of the step; `first` and `second` are what the rule remembers.
// Twin: src/nineline/optimizers.py, class by class.
#pragma once

#include "arrays.hpp"
#include "model.hpp"

namespace nineline::NINELINE_LEVEL {

// 1 / (sqrt(s) + epsilon) for s >= 0; 0 where s is infinite.
template <class V>
inline V inverse_of_root(V s, Element<V> epsilon) {
  using T = Element<V>;
  const V tiny = splat(sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022));
  const V held = maximum(tiny, s);
  const V result = inverse(held * inverse_square_root(held) + epsilon);
  return s == T(__builtin_inf()) ? V{} : result;
}

// p -= r g; with momentum m: v = m v - r g, p += v; with Nesterov's: p += m v - r g.
template <class T>
struct GradientDescent {
  static constexpr int memory = 0;
  T rate = 0;
  GradientDescent at(double r) const { return {T(r)}; }
  Vec<T> operator()(Vec<T> p, Vec<T> g, Vec<T>&, Vec<T>&) const { return p - rate * g; }
};

template <class T>
struct Momentum {
  static constexpr int memory = 1;
  T momentum;
  bool nesterov;
  T rate = 0;
  Momentum at(double r) const { return {momentum, nesterov, T(r)}; }
  Vec<T> operator()(Vec<T> p, Vec<T> g, Vec<T>& v, Vec<T>&) const {
    v = momentum * v - rate * g;
    return nesterov ? p + (momentum * v - rate * g) : p + v;
  }
};

// s = d s + (1 - d) g^2; p -= r g / (sqrt(s) + epsilon).
template <class T>
struct RMSprop {
  static constexpr int memory = 1;
  T decay, rest, epsilon;
  T rate = 0;
  RMSprop at(double r) const { return {decay, rest, epsilon, T(r)}; }
  Vec<T> operator()(Vec<T> p, Vec<T> g, Vec<T>& s, Vec<T>&) const {
    s = decay * s + rest * (g * g);
    return p - rate * g * inverse_of_root(s, epsilon);
  }
};

// p -= r weight_decay p; m = b1 m + (1 - b1) g; s = b2 s + (1 - b2) g^2;
// p -= r (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + epsilon).
template <class T>
struct Adam {
  static constexpr int memory = 2;
  T beta_1, rest_1, beta_2, rest_2, epsilon;
  double unbiased_1, weight_decay;  // 1 / (1 - b1^t)
  T unbiased_2;                     // 1 / (1 - b2^t)
  T rate = 0, shrink = 0;
  Adam at(double r) const {
    Adam rule = *this;
    rule.rate = T(r * unbiased_1);
    rule.shrink = T(r * weight_decay);
    return rule;
  }
  Vec<T> operator()(Vec<T> p, Vec<T> g, Vec<T>& m, Vec<T>& s) const {
    m = beta_1 * m + rest_1 * g;
    s = beta_2 * s + rest_2 * (g * g);
    return p - shrink * p - rate * m * inverse_of_root(s * unbiased_2, epsilon);
  }
};

// x^t by squaring.
inline double power(double x, std::uint64_t t) {
  double result = 1;
  for (; t > 0; t >>= 1, x *= x)
    if (t & 1) result *= x;
  return result;
}

// Calls `work` with the rule of step t, from 1; its at(r) is the rule at a learning rate.
template <class T, class Work>
inline void with_rule(const RulePlan& plan, std::uint64_t t, Work&& work) {
  switch (plan.kind) {
    case Rule::gradient_descent:
      if (plan.momentum == 0) return work(GradientDescent<T>{});
      return work(Momentum<T>{T(plan.momentum), plan.nesterov});
    case Rule::rmsprop:
      return work(RMSprop<T>{T(plan.beta_2), T(1 - plan.beta_2), T(plan.epsilon)});
    case Rule::adam: {
      const double unbiased_2 = 1 / (1 - power(plan.beta_2, t));
      const double epsilon = plan.epsilon * (plan.epsilon_hat ? __builtin_sqrt(unbiased_2) : 1);
      return work(Adam<T>{T(plan.beta_1), T(1 - plan.beta_1), T(plan.beta_2), T(1 - plan.beta_2), T(epsilon),
                          1 / (1 - power(plan.beta_1, t)), plan.weight_decay, T(unbiased_2)});
    }
  }
}

// The vectors of training, all laid out alike.
template <class T>
struct Vectors {
  T* parameters;
  T* memory[2];
  T* before;  // null, or where the parameters before the step are kept
};

// One step of a rule on numbers that lie side by side from `begin`, whole vectors of them.
template <class T, class Step>
inline void update(const Step& step, const Vectors<T>& at, Index begin, Index count, const T* gradient, T scale) {
  for (Index i = begin; i < begin + count; i += width<T>, gradient += width<T>) {
    Vec<T> first{}, second{};
    if constexpr (Step::memory > 0) first = load(at.memory[0] + i);
    if constexpr (Step::memory > 1) second = load(at.memory[1] + i);
    const Vec<T> parameters = load(at.parameters + i);
    if (at.before != nullptr) store(at.before + i, parameters);
    store(at.parameters + i, step(parameters, scale * load(gradient), first, second));
    if constexpr (Step::memory > 0) store(at.memory[0] + i, first);
    if constexpr (Step::memory > 1) store(at.memory[1] + i, second);
  }
}

}  // namespace nineline::NINELINE_LEVEL
