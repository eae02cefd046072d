// Compiled once per instruction set, which NINELINE_LEVEL names.
#include "curvature.hpp"
#include "differentiator.hpp"
#include "kernels.hpp"
#include "lanes_training.hpp"
#include "runner.hpp"
#include "training.hpp"

namespace nineline::NINELINE_LEVEL {

nineline::Layout* make_layout(bool single, const LayerSpec* layers, Index count) {
  if (single) return new Layout<float>{layers, count};
  return new Layout<double>{layers, count};
}

Names names() { return {Kinds::names, Activations::names, Losses::names, Optimizers<float>::names}; }

bool fits(Loss loss, Activation output) {
  bool answer = false;
  with_loss(loss, [&](auto kind) { answer = !kind.only_joined || joins<decltype(kind)>(output); });
  return answer;
}

bool has_setting_of_each(Loss loss) {
  bool answer = false;
  with_loss(loss, [&](auto kind) { answer = kind.setting_of_each; });
  return answer;
}

Index parameters_of(const LayerSpec& layer) {
  Index answer = 0;
  with_kind(layer.kind, [&](auto kind) { answer = kind.parameters(layer); });
  return answer;
}

Targets targets_of(Loss loss) {
  Targets answer{};
  with_loss(loss, [&](auto kind) { answer = kind.targets; });
  return answer;
}

namespace {

bool same(const char* a, const char* b) {
  for (; *a != 0 && *a == *b; ++a, ++b) {}
  return *a == *b;
}

template <class T, class Function>
void sweep_over(const void* from, void* to, Index count, Function f) {
  constexpr Index w = width<T>;
  const T* const numbers = static_cast<const T*>(from);
  T* const results = static_cast<T*>(to);
  Index i = 0;
  for (; i + w <= count; i += w) store(results + i, f(load(numbers + i)));
  T last[w] = {};
  for (Index j = 0; i + j < count; ++j) last[j] = numbers[i + j];
  store(last, f(load(last)));
  for (Index j = 0; i + j < count; ++j) results[i + j] = last[j];
}

template <class T>
bool apply_to(const char* name, const void* from, void* to, Index count) {
  using V = Vec<T>;
  const auto over = [&](auto f) { return sweep_over<T>(from, to, count, f), true; };
  if (same(name, "exp")) return over([](V x) { return exp(x); });
  if (same(name, "expm1")) return over([](V x) { return expm1(x); });
  if (same(name, "log")) return over([](V x) { return log(x); });
  if (same(name, "log1p")) return over([](V x) { return log1p(x); });
  if (same(name, "tanh")) return over([](V x) { return tanh(x); });
  if (same(name, "sigmoid")) return over([](V x) { return sigmoid(x); });
  if (same(name, "softplus")) return over([](V x) { return softplus(x); });
  if (same(name, "erf")) return over([](V x) { return erf(x); });
  if (same(name, "inverse")) return over([](V x) { return inverse(x); });
  if (same(name, "inverse_square_root")) return over([](V x) { return inverse_square_root(x); });
  if (same(name, "normal_distribution")) return over([](V x) { return normal_distribution(x); });
  return false;
}

}  // namespace

bool apply(const char* function, bool single, const void* from, void* to, Index count) {
  return single ? apply_to<float>(function, from, to, count) : apply_to<double>(function, from, to, count);
}

}  // namespace nineline::NINELINE_LEVEL
