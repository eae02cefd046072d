// Elementary functions of vectors: straight lines of arithmetic, without branches, tables to look up or calls.
//
// Twin: the functions of numpy and scipy.special that each one names.
//
// Maximum error in units in the last place, the worst of baseline, AVX2 and AVX-512, and in brackets that of denormal
// results in multiples of the smallest number. Measured over every seventh float, and over six million doubles of all
// magnitudes, denser where the functions bend, against the same functions with twice the digits. NEON, over three million
// floats and two million doubles in an emulator, keeps within it, and is AVX2 to the bit where no logarithm is taken:
//
//                       float        double
// exp                   1.3 (0.9)    1.3 (0.8)
// expm1                 1.4          2.0
// log                   0.9          0.9
// log1p                 1.5          1.4
// tanh                  2.6          2.7
// sigmoid               2.7 (1.1)    2.8 (1.0)
// softplus              1.8 (0.9)    1.8 (0.8)
// erf                   2.7 (0.6)    2.8 (0.6)
// normal_distribution   6.1 (2.5)    6.8 (2.2)
#pragma once

#include "simd.hpp"

namespace nineline::NINELINE_LEVEL {

// Constants and the coefficients of the fits, lowest power first. Each is a minimax fit of relative error (least
// squares at Chebyshev nodes, reweighted after Lawson until the error levels), found with 50 digits and then rounded:
//
// array                 what is fitted                        where             theoretical error (float, double)
// expm1                 (expm1(r) - r) / r^2                  |r| <= log(2)/2   2^-26, 2^-55 of expm1(r)
// tanh                  the same for expm1(2 r) / 2           |r| <= log(2)/4   its coefficients times powers of 2
// sigmoid_odd, _even    tanh(r/2) / r = odd(r^2) / even(r^2)  |r| <= log(2)/2   2^-33, 2^-60 of exp(r)
// log                   (2 atanh(s) - 2 s) / s^3, in s^2      |s| <= 0.172      2^-30, 2^-59 of 2 atanh(s)
// erf                   erf(x) / x - 1, in x^2                |x| <= 1/2        2^-29, 2^-57 of erf(x)
// tail_above, _below    exp(a^2/2) P(-a)                      0 <= a, tail end  2^-27, 2^-59
template <class T>
struct Fits;

template <>
struct Fits<float> {
  static constexpr float ln2_high = 0.693145752F, ln2_low = 1.42860677e-6F;  // the first has 16 bits
  static constexpr float exp_lowest = -104, exp_highest = 89;  // beyond them exp is 0 or infinite
  static constexpr float tanh_highest = 9.1F;                  // beyond these the function is 1
  static constexpr float sigmoid_highest = 30;
  static constexpr float tail_highest = 14.4F;  // beyond this P(-a) is 0
  static constexpr float expm1[] = {0.49999997F, 0.16666543F, 0.041667204F, 0.008366531F, 0.0013882121F};
  static constexpr float tanh[] = {0.99999994F, 0.66666174F, 0.33333763F, 0.13386449F, 0.044422787F};
  static constexpr float sigmoid_even[] = {1.0F, 0.099974856F};
  static constexpr float sigmoid_odd[] = {0.5F, 0.008320823F};
  static constexpr float log[] = {0.66666776F, 0.3997757F, 0.29871184F};
  static constexpr float erf[] = {0.12837917F, -0.37612608F, 0.112828225F, -0.026757164F, 0.004717927F};
  static constexpr float tail_above[] = {0.5F, 0.43808717F, 0.18308088F, 0.040581137F, 0.004108553F};
  static constexpr float tail_below[] = {1.0F, 1.6740593F, 1.2018632F, 0.46906334F, 0.101728335F, 0.010298492F};
};

template <>
struct Fits<double> {
  static constexpr double ln2_high = 0.693147180559663, ln2_low = 2.8235290563031577e-13;  // the first has 41 bits
  static constexpr double exp_lowest = -746, exp_highest = 710;
  static constexpr double tanh_highest = 19.1;
  static constexpr double sigmoid_highest = 40;
  static constexpr double tail_highest = 38.7;
  static constexpr double expm1[] = {
    0.5000000000000006, 0.1666666666666659, 0.04166666666657672, 0.008333333333389209, 0.001388888893157888,
    0.0001984126971992601, 2.480150525473521e-5, 2.7557406620384054e-6, 2.762604602000605e-7, 2.5054087538837632e-8};
  static constexpr double tanh[] = {
    1.000000000000001, 0.6666666666666636, 0.3333333333326138, 0.13333333333422734, 0.044444444581052414,
    0.012698412620752646, 0.003174592672606107, 0.0007054696094818318, 0.00014144535562243097, 2.5655385639769735e-5};
  static constexpr double sigmoid_even[] = {1.0, 0.11110779820068847, 0.0009917322486121317};
  static constexpr double sigmoid_odd[] = {0.5, 0.013887232433679796, 3.3041199173516815e-5};
  static constexpr double log[] = {
    0.6666666666666734, 0.3999999999941578, 0.28571428742189475, 0.2222219858990284, 0.18183563603069075,
    0.15314066009367763, 0.14795821048914407};
  static constexpr double erf[] = {
    0.12837916709551256, -0.37612638903183465, 0.11283791670924842, -0.026866170632722557, 0.0052239773704070335,
    -0.0008548297529765333, 0.00012053324515788251, -1.4845587748066336e-5, 1.4723247753316414e-6};
  static constexpr double tail_above[] = {
    0.5, 0.8277882860004392, 0.6793980396867977, 0.3571834998295445, 0.13196773283883048, 0.03564134739488402,
    0.007116478710594822, 0.0010386058479684265, 0.00010643910668167649, 6.965761103198048e-6, 2.2380048644736418e-7};
  static constexpr double tail_below[] = {
    1.0, 2.453461132803744, 2.816374837767603, 2.0007399540133974, 0.9796338190797202, 0.34810441322042035,
    0.09190808705911414, 0.018104048047702603, 0.0026208593586581905, 0.0002673642589587305, 1.746057373563162e-5,
    5.609846272050031e-7};
};

inline constexpr double log2_e = 1.4426950408889634;

// NaN stays.
template <class V>
inline V at_most(V x, Element<V> highest) {
  return lesser(splat(highest), x);
}

template <class V>
inline V at_least(V x, Element<V> lowest) {
  return greater(splat(lowest), x);
}

// c[0] + c[1] x + c[2] x^2 + ... after Horner; one of more terms than `longest` as two, of the even and of the odd
// powers: one operation more, but a chain half as long of operations that wait for each other.
template <int longest = 6, class V, int terms>
inline V polynomial(V x, const Element<V> (&c)[terms]) {
  V y = splat(c[terms - 1]);
  if constexpr (terms <= longest) {
    for (int i = terms - 2; i >= 0; --i) y = y * x + c[i];
    return y;
  } else {
    const V square = x * x;
    V z = splat(c[terms - 2]);
    for (int i = terms - 3; i > 0; i -= 2) {
      y = y * square + c[i];
      z = z * square + c[i - 1];
    }
    if constexpr (terms % 2 != 0) return z * x + (y * square + c[0]);
    else return y * x + z;
  }
}

// v, negative where x is: -0 for -0 too. Where x is positive v must be.
template <class V>
inline V signed_as(V v, V x) {
  return from_bits<V>(bits(v) | (bits(x) & bits(splat(Element<V>(-0.0)))));
}

// Exponentials: exp(x) = 2^n exp(r) with whole n and r = x - n log(2), |r| <= log(2)/2 (Cody & Waite, 1980).

// n as a number: adding the rounder leaves no bits for a fraction.
template <class V>
inline V nearest_power(V x) {
  using T = Element<V>;
  return (x * T(log2_e) + Simd<T>::rounder) - Simd<T>::rounder;
}

// r. The first part of log(2) is so short that n times it is exact, with a fused multiply-add or without.
template <class V>
inline V without_powers(V x, V n) {
  return x - n * Fits<Element<V>>::ln2_high - n * Fits<Element<V>>::ln2_low;
}

// exp(r) for |r| <= log(2)/2
template <class V>
inline V exp_near_zero(V r) {
  return 1 + r * (1 + r * polynomial(r, Fits<Element<V>>::expm1));
}

// twin: np.exp
template <class V>
inline V exp(V x) {
  using F = Fits<Element<V>>;
  x = at_least(at_most(x, F::exp_highest), F::exp_lowest);
  const V n = nearest_power(x);
  return scale_by_power(exp_near_zero(without_powers(x, n)), n);
}

// exp(x) - 1 = 2^n ((1 - 2^-n) + expm1(r)); twin: np.expm1
template <class V>
inline V expm1(V x) {
  using T = Element<V>;
  using F = Fits<T>;
  const V held = at_least(at_most(x, F::exp_highest), T(-50));  // below -50 it is -1
  const V n = nearest_power(held), r = without_powers(held, n);
  const V whole = 1 - scale_by_power(splat(T(1)), -n);  // added to r before the small rest, lest its digits go
  return signed_as(scale_by_power((r + whole) + r * r * polynomial(r, F::expm1), n), x);
}

// tanh(a) = h / (h + 1) with h = expm1(2 a) / 2 = 2^n h(r) - (1 - 2^n) / 2 and a = r + n log(2)/2; twin: np.tanh
//
// Odd to the last bit, and never beyond 1. That n is held in the low bits of `shifted`, from where they move to the
// exponent, saves scale_by_power. One part of log(2) is enough: what it lacks counts for less the larger n.
template <class V>
inline V tanh(V x) {
  using T = Element<V>;
  using S = Simd<T>;
  using F = Fits<T>;
  constexpr T rounder = S::rounder + S::exponent_bias;
  const V a = at_most(absolute(x), F::tanh_highest);
  const V shifted = a * T(2 * log2_e) + rounder;
  const V power = from_bits<V>(bits(shifted) << S::mantissa_bits);
  const V r = a - (shifted - rounder) * T(0.34657359027997264);
  const V h = power * (r + r * r * polynomial(r, F::tanh)) - (T(0.5) - power * T(0.5));
  return signed_as(h / (h + 1), x);
}

// 1 / (1 + exp(-x)); twin: scipy.special.expit
//
// With -x = n log(2) - r and exp(-r) = (even - odd) / (even + odd) one division is enough:
// (even + odd) / ((even + odd) + 2^n (even - odd)). Above and below are scaled by 2^-shift, so that 2^n never
// overflows: results that are denormal are right, where NumPy's formula gives 0 from x = -88.7 (float) or -709 down.
template <class V>
inline V sigmoid(V x) {
  using T = Element<V>;
  using S = Simd<T>;
  using F = Fits<T>;
  constexpr int shift = S::mantissa_bits + 7;
  constexpr T rounder = S::rounder + (S::exponent_bias - shift);
  x = at_least(at_most(x, F::sigmoid_highest), F::exp_lowest);
  const V shifted = x * T(-log2_e) + rounder;
  const V power = from_bits<V>(bits(shifted) << S::mantissa_bits);
  const V r = without_powers(x, rounder - shifted), square = r * r;
  const V even = polynomial(square, F::sigmoid_even), odd = r * polynomial(square, F::sigmoid_odd);
  const V above = (even + odd) * (1 / T(std::int64_t{1} << shift));
  return above / (above + power * (even - odd));
}

// Logarithms: x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)).

// -k as a number, for a positive normal x.
template <class V>
inline V minus_exponent(V x) {
  using S = Simd<Element<V>>;
  const Int<V> k = (bits(x) - bits(splat(Element<V>(0.70710678118654752)))) >> S::mantissa_bits;
  return from_bits<V>(bits(splat(S::rounder)) - k) - S::rounder;
}

// k log(2) + log(1 + f), by log(1 + f) = 2 atanh(s) = f - s (f - (2 atanh(s) - 2 s) / s) with s = f / (2 + f), where
// s f = f^2/2 - s f^2/2 (Muller, Elementary Functions). Of -k, not k: subtracting its zero leaves an f of -0 as it is.
template <class V>
inline V log_of_parts(V f, V minus_k) {
  using F = Fits<Element<V>>;
  const V s = f / (f + 2), square = s * s, half = f * f * Element<V>(0.5);
  const V small = s * (half + square * polynomial(square, F::log));
  return f - (half - small + minus_k * F::ln2_low) - minus_k * F::ln2_high;
}

// `inside` for finite x above the lowest, -infinity at it, NaN below; infinity and NaN stay.
template <class V>
inline V with_ends(V inside, V x, Element<V> lowest) {
  using T = Element<V>;
  const V below = x == lowest ? splat(-T(__builtin_inf())) : splat(T(__builtin_nan("")));
  return x > lowest ? (x < T(__builtin_inf()) ? inside : x) : below;
}

// twin: np.log
template <class V>
inline V log(V x) {
  using T = Element<V>;
  using S = Simd<T>;
  constexpr int up = S::mantissa_bits + 1;
  const auto denormal = x < T(sizeof(T) == 4 ? 0x1p-126 : 0x1p-1022);
  const V normal = denormal ? x * T(std::int64_t{1} << up) : x;
  const V minus_k = minus_exponent(normal);
  const V f = scale_by_power(normal, minus_k) - 1;
  return with_ends(log_of_parts(f, denormal ? minus_k + T(up) : minus_k), x, T(0));
}

// log(1 + x), k being that of the rounded 1 + x and f = 2^-k x - (1 - 2^-k) of x itself; twin: np.log1p
template <class V>
inline V log1p(V x) {
  const V minus_k = minus_exponent(1 + x);
  const V f = scale_by_power(x, minus_k) - (1 - scale_by_power(splat(Element<V>(1)), minus_k));
  return with_ends(log_of_parts(f, minus_k), x, Element<V>(-1));
}

// log(1 + exp(x)) = max(x, 0) + log(1 + e), e = exp(-|x|); twin: np.logaddexp(0, x)
template <class V>
inline V softplus(V x) {
  using T = Element<V>;
  const V e = exp(-absolute(x));
  const auto far = e > T(0.41421356237309505);  // 1 + e above sqrt(2), so k = 1
  const V small = log_of_parts(far ? e * T(0.5) - T(0.5) : e, far ? splat(T(-1)) : V{});
  return greater(V{}, x) + small;
}

// P(-a) of the standard normal distribution, for a >= 0: exp(-a^2/2) times a quotient of polynomials (Cody, 1969).
//
// An error of a^2 would be one of the result, times a^2. So a is split into a short part, whose square is exact, and
// the rest, which joins r.
template <class V>
inline V upper_tail(V a) {
  using T = Element<V>;
  using S = Simd<T>;
  using F = Fits<T>;
  a = at_most(a, F::tail_highest);
  const V n = nearest_power(a * a * T(-0.5));
  const V high = from_bits<V>(bits(a) & -(typename S::Word{1} << (S::mantissa_bits / 2 + 1)));
  const V r = without_powers(high * high * T(-0.5), n) - (a - high) * (a + high) * T(0.5);
  const V above = polynomial<0>(a, F::tail_above), below = polynomial<0>(a, F::tail_below);  // half the roundings
  return scale_by_power(exp_near_zero(r) * (above / below), n);
}

// twin: scipy.special.erf
template <class V>
inline V erf(V x) {
  using T = Element<V>;
  const V a = absolute(x);
  const V near_zero = x + x * polynomial(x * x, Fits<T>::erf);
  const V further_out = signed_as(1 - 2 * upper_tail(a * T(1.4142135623730951)), x);
  return a < T(0.5) ? near_zero : further_out;
}

// P(x) of the standard normal distribution, erfc(-x / sqrt(2)) / 2; twin: scipy.special.ndtr
template <class V>
inline V normal_distribution(V x) {
  const V tail = upper_tail(absolute(x));
  return x < 0 ? tail : 1 - tail;
}

}  // namespace nineline::NINELINE_LEVEL
