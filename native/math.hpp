// Elementary functions of vectors, as NumPy and SciPy have them: straight lines of arithmetic without branches, tables
// of numbers to look up, or calls.
//
// Twin: the functions of the same names in numpy and scipy.special.
#pragma once

#include "simd.hpp"

namespace nineline::NINELINE_LEVEL {

template <class T>
struct Fits;

template <>
struct Fits<float> {
  static constexpr float ln2_high = 0.693145752F, ln2_low = 1.42860677e-6F;
  static constexpr float exp_lowest = -104, exp_highest = 89;
  static constexpr float expm1_lowest = -20;
  static constexpr float expm1[] = {0.49999997F, 0.16666543F, 0.041667204F, 0.008366531F, 0.0013882121F};
  static constexpr float tanh_end = 8.8F;
  static constexpr float tanh_above[] = {1, 0.13394028F, 0.0035110617F, 2.0865482e-05F, 1.3714704e-08F};
  static constexpr float tanh_below[] = {1, 0.46727347F, 0.025935763F, 0.00033110086F, 7.9228215e-07F};
  static constexpr float sigmoid_lowest = -105, sigmoid_highest = 30;
  static constexpr float sigmoid_even[] = {1, 0.099974856F};
  static constexpr float sigmoid_odd[] = {0.5F, 0.008320823F};
  static constexpr float log[] = {0.66666776F, 0.3997757F, 0.29871184F};
  static constexpr float erf[] = {0.12837917F, -0.37612608F, 0.112828225F, -0.026757164F, 0.004717927F};
  static constexpr float tail_end = 14.4F;
  static constexpr float tail_above[] = {0.5F, 0.43808717F, 0.18308088F, 0.040581137F, 0.004108553F};
  static constexpr float tail_below[] = {1.0F, 1.6740593F, 1.2018632F, 0.46906334F, 0.101728335F, 0.010298492F};
};

template <>
struct Fits<double> {
  static constexpr double ln2_high = 0.69314718055989033, ln2_low = 5.4979230187083712e-14;
  static constexpr double exp_lowest = -746, exp_highest = 710;
  static constexpr double expm1_lowest = -40;
  static constexpr double expm1[] = {0.5000000000000006, 0.1666666666666659, 0.04166666666657672, 0.008333333333389209, 0.001388888893157888, 0.0001984126971992601, 2.480150525473521e-05, 2.7557406620384054e-06, 2.762604602000605e-07, 2.5054087538837632e-08};
  static constexpr double tanh_end = 20;
  static constexpr double sigmoid_lowest = -746, sigmoid_highest = 40;
  static constexpr double sigmoid_even[] = {1, 0.11110779820068847, 0.0009917322486121317};
  static constexpr double sigmoid_odd[] = {0.5, 0.013887232433679796, 3.3041199173516815e-05};
  static constexpr double log[] = {0.6666666666666734, 0.3999999999941578, 0.28571428742189475, 0.2222219858990284, 0.18183563603069075, 0.15314066009367763, 0.14795821048914407};
  static constexpr double erf[] = {0.12837916709551256, -0.37612638903183465, 0.11283791670924842, -0.026866170632722557, 0.0052239773704070335, -0.0008548297529765333, 0.00012053324515788251, -1.4845587748066336e-05, 1.4723247753316414e-06};
  static constexpr double tail_end = 38.7;
  static constexpr double tail_above[] = {0.5, 0.8277882860004392, 0.6793980396867977, 0.3571834998295445, 0.13196773283883048, 0.03564134739488402, 0.007116478710594822, 0.0010386058479684265, 0.00010643910668167649, 6.965761103198048e-06, 2.2380048644736418e-07};
  static constexpr double tail_below[] = {1.0, 2.453461132803744, 2.816374837767603, 2.0007399540133974, 0.9796338190797202, 0.34810441322042035, 0.09190808705911414, 0.018104048047702603, 0.0026208593586581905, 0.0002673642589587305, 1.746057373563162e-05, 5.609846272050031e-07};
};

template <class V>
using FitsOf = Fits<Element<V>>;

inline constexpr double log2_e = 1.4426950408889634;

template <class V, int terms>
inline V polynomial(V x, const Element<V> (&coefficients)[terms]) {
  V y = splat(coefficients[terms - 1]);
  for (int i = terms - 2; i >= 0; --i) y = y * x + coefficients[i];
  return y;
}

template <class V>
inline V clamp(V x, Element<V> low, Element<V> high) {
  constexpr bool single = sizeof(Element<V>) == 4;
#if defined(__AVX512F__)
  if constexpr (single) {
    const __m512 below = _mm512_maskz_min_ps(-1, _mm512_set1_ps(high), reinterpret_cast<__m512>(x));
    return reinterpret_cast<V>(_mm512_maskz_max_ps(-1, _mm512_set1_ps(low), below));
  } else {
    const __m512d below = _mm512_maskz_min_pd(-1, _mm512_set1_pd(high), reinterpret_cast<__m512d>(x));
    return reinterpret_cast<V>(_mm512_maskz_max_pd(-1, _mm512_set1_pd(low), below));
  }
#elif defined(__AVX2__)
  if constexpr (single) {
    const __m256 below = _mm256_min_ps(_mm256_set1_ps(high), reinterpret_cast<__m256>(x));
    return reinterpret_cast<V>(_mm256_max_ps(_mm256_set1_ps(low), below));
  } else {
    const __m256d below = _mm256_min_pd(_mm256_set1_pd(high), reinterpret_cast<__m256d>(x));
    return reinterpret_cast<V>(_mm256_max_pd(_mm256_set1_pd(low), below));
  }
#elif defined(__SSE2__)
  if constexpr (single) {
    const __m128 below = _mm_min_ps(_mm_set1_ps(high), reinterpret_cast<__m128>(x));
    return reinterpret_cast<V>(_mm_max_ps(_mm_set1_ps(low), below));
  } else {
    const __m128d below = _mm_min_pd(_mm_set1_pd(high), reinterpret_cast<__m128d>(x));
    return reinterpret_cast<V>(_mm_max_pd(_mm_set1_pd(low), below));
  }
#else
  return maximum(splat(low), minimum(splat(high), x));
#endif
}

template <class V>
inline V nearest_power(V x) {
  using T = Element<V>;
  return (x * T(log2_e) + Simd<T>::rounder) - Simd<T>::rounder;
}

template <class V>
inline V without_powers(V x, V n) {
  return x - n * FitsOf<V>::ln2_high - n * FitsOf<V>::ln2_low;
}

template <class V>
inline V exp_near_zero(V r) {
  return 1 + r * (1 + r * polynomial(r, FitsOf<V>::expm1));
}

template <class V>
inline V expm1_near_zero(V r) {
  return r + r * r * polynomial(r, FitsOf<V>::expm1);
}

template <class V>
inline V exp(V x) {
  x = clamp(x, FitsOf<V>::exp_lowest, FitsOf<V>::exp_highest);
  const V n = nearest_power(x);
  return scale_by_power(exp_near_zero(without_powers(x, n)), n);
}

template <class V>
inline V expm1(V x) {
  x = clamp(x, FitsOf<V>::expm1_lowest, FitsOf<V>::exp_highest);
  const V n = nearest_power(x);
  const V shrunk = scale_by_power(splat(Element<V>(1)), -n);
  return scale_by_power(expm1_near_zero(without_powers(x, n)) - (shrunk - 1), n);
}

template <class V>
inline V tanh(V x) {
  using T = Element<V>;
  using F = Fits<T>;
  x = clamp(x, -F::tanh_end, F::tanh_end);
  if constexpr (sizeof(T) == 4) {
    const V square = x * x;
    return x * polynomial(square, F::tanh_above) / polynomial(square, F::tanh_below);
  } else {
    constexpr T rounder = Simd<T>::rounder + Simd<T>::exponent_bias;
    const V shifted = x * T(2 * log2_e) + rounder;
    const V power = from_bits<V>(bits(shifted) << Simd<T>::mantissa_bits);
    const V e = power * expm1_near_zero(without_powers(2 * x, shifted - rounder)) - (1 - power);
    return e / (e + 2);
  }
}

template <class V>
inline V sigmoid(V x) {
  using T = Element<V>;
  using S = Simd<T>;
  using F = Fits<T>;
  constexpr int shift = S::mantissa_bits + 7;
  constexpr T rounder = S::rounder + S::exponent_bias - shift;
  constexpr T small = 1 / T(std::int64_t{1} << shift);
  x = clamp(x, F::sigmoid_lowest, F::sigmoid_highest);
  const V shifted = x * T(-log2_e) + rounder;
  const V power = from_bits<V>(bits(shifted) << S::mantissa_bits);
  const V r = without_powers(x, rounder - shifted);
  const V square = r * r, even = polynomial(square, F::sigmoid_even), odd = r * polynomial(square, F::sigmoid_odd);
  const V above = (even + odd) * small;
  return above / (above + power * (even - odd));
}

template <class V>
inline V minus_exponent(V x) {
  using S = Simd<Element<V>>;
  const Int<V> exponent = (bits(x) - bits(splat(Element<V>(0.70710678118654752)))) >> S::mantissa_bits;
  return from_bits<V>(bits(splat(S::rounder)) - exponent) - S::rounder;
}

template <class V>
inline V log_of_parts(V f, V minus_k) {
  const V s = f / (f + 2), square = s * s, half = f * f * Element<V>(0.5);
  const V rest = s * (half + square * polynomial(square, FitsOf<V>::log));
  return f - (half - rest + minus_k * FitsOf<V>::ln2_low) - minus_k * FitsOf<V>::ln2_high;
}

template <class V>
inline V log_at_ends(V x, V inside) {
  using T = Element<V>;
  const V outside = x == 0 ? splat(-T(__builtin_inf())) : splat(T(__builtin_nan("")));
  return x > 0 ? (x < T(__builtin_inf()) ? inside : x) : outside;
}

template <class V>
inline V log(V x) {
  using T = Element<V>;
  using S = Simd<T>;
  constexpr T normal = sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022);
  constexpr T up = T(std::int64_t{1} << (S::mantissa_bits + 1));
  const auto denormal = x < normal;
  const V y = denormal ? x * up : x;
  const V minus_k = minus_exponent(y);
  const V f = scale_by_power(y, minus_k) - 1;
  return log_at_ends(x, log_of_parts(f, denormal ? minus_k + T(S::mantissa_bits + 1) : minus_k));
}

template <class V>
inline V log1p_inside(V x) {
  const V minus_k = minus_exponent(1 + x);
  const V f = scale_by_power(x, minus_k) - (1 - scale_by_power(splat(Element<V>(1)), minus_k));
  return log_of_parts(f, minus_k);
}

template <class V>
inline V log1p(V x) {
  const V inside = log1p_inside(x);
  using T = Element<V>;
  const V outside = x == -1 ? splat(-T(__builtin_inf())) : splat(T(__builtin_nan("")));
  return x > -1 ? (x < T(__builtin_inf()) ? inside : x) : outside;
}

template <class V>
inline V softplus(V x) {
  return maximum(V{}, x) + log1p_inside(exp(-absolute(x)));
}

template <class V>
inline V upper_tail(V a) {
  using T = Element<V>;
  using F = Fits<T>;
  using Word = typename Simd<T>::Word;
  a = clamp(a, 0, F::tail_end);
  const V n = nearest_power(a * a * T(-0.5));
  const V high = from_bits<V>(bits(a) & -(Word{1} << (Simd<T>::mantissa_bits / 2 + 1)));
  const V r = without_powers(high * high * T(-0.5), n) - (a - high) * (a + high) * T(0.5);
  return scale_by_power(exp_near_zero(r) * (polynomial(a, F::tail_above) / polynomial(a, F::tail_below)), n);
}

template <class V>
inline V erf(V x) {
  using T = Element<V>;
  const V a = absolute(x);
  const V near_zero = x + x * polynomial(x * x, Fits<T>::erf);
  const V further_out = with_sign(1 - 2 * upper_tail(a * T(1.4142135623730951)), x);
  return a < T(0.5) ? near_zero : further_out;
}

template <class V>
inline V normal_distribution(V x) {
  const V tail = upper_tail(absolute(x));
  return x < 0 ? tail : 1 - tail;
}

}  // namespace nineline::NINELINE_LEVEL
