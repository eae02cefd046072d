// Vectors of numbers, as wide as the instruction set has them. The only file that knows instruction sets.
//
// Every header that includes this one lives in a namespace named after the instruction set, so that the same code,
// compiled once per set, never mixes. Nothing here or above may use a function that is not inlined from the standard
// library: the linker would keep one copy of it, and that copy might need instructions the machine does not have.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#ifndef NINELINE_LEVEL
#error "NINELINE_LEVEL names the instruction set: baseline, avx2, avx512 or neon"
#endif

namespace nineline::NINELINE_LEVEL {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
inline constexpr int registers = 32;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
inline constexpr int registers = 16;
#elif defined(__aarch64__)
inline constexpr int vector_bytes = 16;
inline constexpr int registers = 32;
#else
inline constexpr int vector_bytes = 16;
inline constexpr int registers = 16;
#endif

template <int... i>
struct Indices {};
template <int n, int... i>
struct Counted : Counted<n - 1, n - 1, i...> {};
template <int... i>
struct Counted<0, i...> {
  using type = Indices<i...>;
};

// What a type of number is made of, and the vector of it.
template <class T>
struct Simd;

template <>
struct Simd<float> {
  typedef float Vec __attribute__((vector_size(vector_bytes)));
  typedef std::int32_t Int __attribute__((vector_size(vector_bytes)));
  using Word = std::int32_t;
  static constexpr int mantissa_bits = 23, exponent_bias = 127;
  static constexpr float rounder = 12582912.0F;  // 1.5 * 2^23: adding it leaves no bits for a fraction
};

template <>
struct Simd<double> {
  typedef double Vec __attribute__((vector_size(vector_bytes)));
  typedef std::int64_t Int __attribute__((vector_size(vector_bytes)));
  using Word = std::int64_t;
  static constexpr int mantissa_bits = 52, exponent_bias = 1023;
  static constexpr double rounder = 6755399441055744.0;  // 1.5 * 2^52
};

template <class T>
using Vec = typename Simd<T>::Vec;

template <class T>
inline constexpr int width = vector_bytes / sizeof(T);

template <class V>
struct ElementOf;
template <>
struct ElementOf<Vec<float>> {
  using type = float;
};
template <>
struct ElementOf<Vec<double>> {
  using type = double;
};
template <class V>
using Element = typename ElementOf<V>::type;
template <class V>
using Int = typename Simd<Element<V>>::Int;

template <class T>
inline Vec<T> load(const T* from) {
  Vec<T> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class T>
inline void store(T* to, Vec<T> v) {
  __builtin_memcpy(to, &v, sizeof v);
}

template <class T>
inline Vec<T> splat(T x) {
  return x - Vec<T>{};  // x - 0 keeps the sign of a negative zero
}

template <class V>
inline Int<V> bits(V v) {
  return reinterpret_cast<Int<V>>(v);
}

template <class V>
inline V from_bits(Int<V> i) {
  return reinterpret_cast<V>(i);
}

template <class V>
inline V absolute(V v) {
  using Word = typename Simd<Element<V>>::Word;
  return from_bits<V>(bits(v) & ~(Word{1} << (8 * sizeof(Word) - 1)));
}

// The magnitude of one and the sign of another.
template <class V>
inline V with_sign(V magnitude, V sign) {
  using Word = typename Simd<Element<V>>::Word;
  constexpr Word minus = Word{1} << (8 * sizeof(Word) - 1);
  return from_bits<V>((bits(magnitude) & ~minus) | (bits(sign) & minus));
}

// Of two numbers; where the second is NaN, NaN.
template <class V>
inline V maximum(V a, V b) {
  return a > b ? a : b;
}

template <class V>
inline V minimum(V a, V b) {
  return a < b ? a : b;
}

// The same in one instruction, for g++ makes two of a comparison as soon as one of the numbers is constant.
#if defined(__AVX512F__)
inline __m512 lesser(__m512 a, __m512 b) { return _mm512_maskz_min_ps(-1, a, b); }
inline __m512d lesser(__m512d a, __m512d b) { return _mm512_maskz_min_pd(-1, a, b); }
inline __m512 greater(__m512 a, __m512 b) { return _mm512_maskz_max_ps(-1, a, b); }
inline __m512d greater(__m512d a, __m512d b) { return _mm512_maskz_max_pd(-1, a, b); }
#elif defined(__AVX2__)
inline __m256 lesser(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
inline __m256d lesser(__m256d a, __m256d b) { return _mm256_min_pd(a, b); }
inline __m256 greater(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
inline __m256d greater(__m256d a, __m256d b) { return _mm256_max_pd(a, b); }
#elif defined(__SSE2__)
inline __m128 lesser(__m128 a, __m128 b) { return _mm_min_ps(a, b); }
inline __m128d lesser(__m128d a, __m128d b) { return _mm_min_pd(a, b); }
inline __m128 greater(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
inline __m128d greater(__m128d a, __m128d b) { return _mm_max_pd(a, b); }
#elif defined(__aarch64__)
inline float32x4_t lesser(float32x4_t a, float32x4_t b) { return vminq_f32(a, b); }
inline float64x2_t lesser(float64x2_t a, float64x2_t b) { return vminq_f64(a, b); }
inline float32x4_t greater(float32x4_t a, float32x4_t b) { return vmaxq_f32(a, b); }
inline float64x2_t greater(float64x2_t a, float64x2_t b) { return vmaxq_f64(a, b); }
#else
template <class V>
inline V lesser(V a, V b) {
  return minimum(a, b);
}
template <class V>
inline V greater(V a, V b) {
  return maximum(a, b);
}
#endif

// What is not positive becomes 0; NaN stays.
template <class V>
inline V positive_part(V v) {
  return v <= 0 ? V{} : v;
}

template <class V>
inline V square_root(V v) {
  constexpr bool single = sizeof(Element<V>) == 4;
#if defined(__AVX512F__)
  if constexpr (single) return reinterpret_cast<V>(_mm512_maskz_sqrt_ps(-1, reinterpret_cast<__m512>(v)));
  else return reinterpret_cast<V>(_mm512_maskz_sqrt_pd(-1, reinterpret_cast<__m512d>(v)));
#elif defined(__AVX2__)
  if constexpr (single) return reinterpret_cast<V>(_mm256_sqrt_ps(reinterpret_cast<__m256>(v)));
  else return reinterpret_cast<V>(_mm256_sqrt_pd(reinterpret_cast<__m256d>(v)));
#elif defined(__SSE2__)
  if constexpr (single) return reinterpret_cast<V>(_mm_sqrt_ps(reinterpret_cast<__m128>(v)));
  else return reinterpret_cast<V>(_mm_sqrt_pd(reinterpret_cast<__m128d>(v)));
#elif defined(__aarch64__)
  if constexpr (single) return vsqrtq_f32(v);
  else return vsqrtq_f64(v);
#else
  for (int i = 0; i < width<Element<V>>; ++i) v[i] = single ? __builtin_sqrtf(v[i]) : __builtin_sqrt(v[i]);
  return v;
#endif
}

// 1 / sqrt(x) for x > 0 that are neither denormal nor infinite, and 1 / x likewise: of AVX-512 a guess of 14 bits, and
// after Newton as many more as there are. Both are at most 2 units in the last place off.
template <class V>
inline V inverse_square_root(V x) {
#if defined(__AVX512F__)
  using T = Element<V>;
  V guess;
  if constexpr (sizeof(T) == 4)
    guess = reinterpret_cast<V>(_mm512_maskz_rsqrt14_ps(-1, reinterpret_cast<__m512>(x)));
  else
    guess = reinterpret_cast<V>(_mm512_maskz_rsqrt14_pd(-1, reinterpret_cast<__m512d>(x)));
  for (int bits = 14; bits < Simd<T>::mantissa_bits; bits *= 2)
    guess = guess + guess * (T(0.5) - (x * guess) * (guess * T(0.5)));  // nothing in between is denormal
  return guess;
#else
  return 1 / square_root(x);
#endif
}

template <class V>
inline V inverse(V x) {
#if defined(__AVX512F__)
  using T = Element<V>;
  V guess;
  if constexpr (sizeof(T) == 4)
    guess = reinterpret_cast<V>(_mm512_maskz_rcp14_ps(-1, reinterpret_cast<__m512>(x)));
  else
    guess = reinterpret_cast<V>(_mm512_maskz_rcp14_pd(-1, reinterpret_cast<__m512d>(x)));
  for (int bits = 14; bits < Simd<T>::mantissa_bits; bits *= 2) guess = guess + guess * (1 - x * guess);
  return guess;
#else
  return 1 / x;
#endif
}

// x * 2^n for whole n (held as a number), |n| up to twice the largest exponent; denormal results are right.
template <class V>
inline V scale_by_power(V x, V n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Element<V>) == 4)
    return reinterpret_cast<V>(_mm512_maskz_scalef_ps(-1, reinterpret_cast<__m512>(x), reinterpret_cast<__m512>(n)));
  else
    return reinterpret_cast<V>(_mm512_maskz_scalef_pd(-1, reinterpret_cast<__m512d>(x), reinterpret_cast<__m512d>(n)));
#else
  using S = Simd<Element<V>>;
  const Element<V> half = Element<V>(0.5);
  const Int<V> first = bits(n * half + S::rounder) - bits(splat(S::rounder));
  const Int<V> all = bits(n + S::rounder) - bits(splat(S::rounder));
  const auto power = [](Int<V> e) { return from_bits<V>((e + S::exponent_bias) << S::mantissa_bits); };
  return x * power(first) * power(all - first);
#endif
}

// Lanes of two vectors, chosen by their place in a followed by b.
template <class V, int... i>
inline V chosen(V a, V b, Indices<i...>) {
  return __builtin_shufflevector(a, b, i...);
}

// Of a and b: the sums of neighbours; what begins the two, lane by lane in turn; and what ends them.
template <class V, int... i>
inline V sums_of_neighbours(V a, V b, Indices<i...>) {
#if defined(__aarch64__)
  if constexpr (sizeof(Element<V>) == 4) return vpaddq_f32(a, b);
  else return vpaddq_f64(a, b);
#else
  return chosen(a, b, Indices<2 * i...>{}) + chosen(a, b, Indices<2 * i + 1 ...>{});
#endif
}
template <class V, int... i>
inline V beginnings(V a, V b, Indices<i...>) {
  return chosen(a, b, Indices<(i % 2 == 0 ? i / 2 : i / 2 + int(sizeof...(i)))...>{});
}
template <class V, int... i>
inline V endings(V a, V b, Indices<i...>) {
  constexpr int half = sizeof...(i) / 2;
  return chosen(a, b, Indices<(i % 2 == 0 ? half + i / 2 : half + i / 2 + int(sizeof...(i)))...>{});
}

template <class T>
using Lanes = typename Counted<width<T>>::type;

// Vectors become half as many, again and again, until lane j of the one that is left is the sum over vector j.
template <class T, int count = width<T>>
inline Vec<T> sums(Vec<T> (&v)[width<T>]) {
  if constexpr (count > 1) {
#pragma GCC unroll 8
    for (int i = 0; i < count / 2; ++i) v[i] = sums_of_neighbours(v[2 * i], v[2 * i + 1], Lanes<T>{});
    return sums<T, count / 2>(v);
  } else {
    return v[0];
  }
}

// The sum over the lanes.
template <class V, int count = width<Element<V>>>
inline Element<V> sum(V v) {
  if constexpr (count > 1) return sum<V, count / 2>(sums_of_neighbours(v, v, Lanes<Element<V>>{}));
  else return v[0];
}

// A square of numbers, one vector a row, turned over: log2(width) rounds of shuffling the first half into the second.
template <class T, int rounds = width<T>>
inline void turn_over(Vec<T> (&v)[width<T>]) {
  constexpr int w = width<T>;
  if constexpr (rounds > 1) {
    Vec<T> next[w];
#pragma GCC unroll 8
    for (int i = 0; i < w / 2; ++i) {
      next[2 * i] = beginnings(v[i], v[i + w / 2], Lanes<T>{});
      next[2 * i + 1] = endings(v[i], v[i + w / 2], Lanes<T>{});
    }
    turn_over<T, rounds / 2>(next);
#pragma GCC unroll 16
    for (int i = 0; i < w; ++i) v[i] = next[i];
  }
}

}  // namespace nineline::NINELINE_LEVEL
