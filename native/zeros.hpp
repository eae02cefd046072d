// Tables that are mostly zeros, as pictures and categories in columns of their own are: what a product may leave out.
//
// A sum that leaves out the products with zero has the same bits (of finite numbers), so it is a question of time alone
// whether to look for them.
#pragma once

#include <type_traits>

#include "arrays.hpp"

namespace nineline::NINELINE_LEVEL {

// The ks that a sum goes over: a stretch of them, or those of a list.
struct Stretch {
  Index begin, count;
  Index operator[](Index i) const { return begin + i; }
};
struct Listed {
  const std::uint32_t* ks;
  Index count;
  Index operator[](Index i) const { return Index(ks[i]); }
};

// Whether any bit of some numbers is set. Of zeros none is, but for negative ones, which count as something.
template <class T, int count>
inline bool any_bit(const T* numbers) {
  constexpr int bytes = count * sizeof(T);
  using Word = std::conditional_t<bytes % 8 == 0, std::uint64_t, std::uint32_t>;
  Word words[bytes / sizeof(Word)], all = 0;
  __builtin_memcpy(words, numbers, bytes);
#pragma GCC unroll 16
  for (Word word : words) all |= word;
  return all != 0;
}

// Lists the rows of a stretch with something in J columns from the first.
template <class T, int J>
inline Listed rows_with_something(RowList<T> a, Index first, const Stretch& rows, std::uint32_t* ks) {
  Index count = 0;
  for (Index k = rows.begin; k < rows.begin + rows.count; ++k) {
    ks[count] = std::uint32_t(k);
    count += any_bit<T, J>(a[k] + first);
  }
  return {ks, count};
}

// Lists the columns of a stretch with something in J rows from the first.
template <class T, int J>
inline Listed columns_with_something(RowList<T> a, Index first, const Stretch& columns, std::uint32_t* ks) {
  constexpr int w = width<T>;
  const Index end = columns.begin + columns.count;
  Index count = 0, k = columns.begin;
  for (; k + w <= end; k += w) {
    Int<Vec<T>> all{};
#pragma GCC unroll 16
    for (int j = 0; j < J; ++j) all |= bits(load(a[first + j] + k));
    typename Simd<T>::Word words[w];
    __builtin_memcpy(words, &all, sizeof all);
#pragma GCC unroll 16
    for (int i = 0; i < w; ++i) {
      ks[count] = std::uint32_t(k + i);
      count += words[i] != 0;
    }
  }
  for (; k < end; ++k) ks[count++] = std::uint32_t(k);
  return {ks, count};
}

// Whether more than half of the numbers are zeros, by a look at some of the rows. Of narrow rows none is: there is
// little to leave out.
template <class T>
inline bool is_mostly_zeros(const T* numbers, Index rows, Index columns) {
  constexpr Index least_columns = 32, looked_at = 16;
  if (columns < least_columns) return false;
  const Index step = larger(rows / looked_at, 1);
  Index seen = 0, zeros = 0;
  for (Index r = 0; r < rows; r += step, seen += columns)
    for (Index i = 0; i < columns; ++i) zeros += numbers[r * columns + i] == 0;
  return 2 * zeros > seen;
}

}  // namespace nineline::NINELINE_LEVEL
