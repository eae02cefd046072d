// The three matrix products of backpropagation:
//
//   outputs  = inputs @ weights + bias     rows_times
//   gradient = inputs.T @ delta            columns_times
//   errors   = delta @ weights.T           rows_times, with the weights turned over
//
// A matrix on the left is a list of rows, pointers to wherever they lie, so that the shuffled rows of a table need no
// copy. One on the right has its columns in the lanes of vectors, padded to whole ones. Both products are one kernel:
// a block of J rows by V vectors stays in registers while the depth k passes by, each number of the left one
// broadcast and multiplied into V vectors of the right one.
//
// Twins: Layer.compute and Layer.backprop_delta in src/nineline/layers/dense.py.
#pragma once

#include "caches.hpp"
#include "zeros.hpp"

namespace nineline::NINELINE_LEVEL {

// Rows of one stride; the stride is a multiple of the vector's width.
template <class T>
struct Matrix {
  T* data;
  Index stride;
  T* row(Index i) const { return data + i * stride; }
};

enum class Left { rows, columns };

// What a product adds to: nothing, one row given for all (a bias), or the result's own rows.
template <class T>
struct Start {
  const T* data = nullptr;
  Index stride = 0;
};

// What is done with a sum before it leaves the registers: nothing; what is negative becomes 0 (relu, forward); or it
// becomes 0 where another matrix of the same stride is not positive (relu, backward). Dearer activations take a sweep
// of their own.
enum class Finish { none, positive_part, where_positive };

// A result of a few vectors is computed in blocks of 8 rows, so that enough sums are under way; a wider one in blocks
// of about as many sums as there are registers: of 6 rows and twice as many vectors, and where there are 32 registers
// and the left matrix is read along its rows, of 8 by 3, which read less of the right one.
inline constexpr int few_vectors = registers >= 32 ? 2 : 1;

// c[j][v] = start[j][v] + sum over k of a(j, k) * b[k][v], with a(j, k) = a[first + j][k] for Left::rows and
// a[k][first + j] for Left::columns.
//
// Rows of a wide b lie far apart, so they are called for some steps before they are used; no nearer than the second
// cache, for in the first one rows that lie whole pages apart would drive each other out.
template <class T, Left left, Finish finish, int J, int V, class Depth>
inline void block(RowList<T> a, Index first, const Depth& depth, Matrix<const T> b, Start<T> start, Matrix<T> c,
                  const T* beside) {
  constexpr int w = width<T>, ahead = left == Left::rows ? 16 : 8;
  Vec<T> sums[J][V];
  if (start.data == nullptr) {
#pragma GCC unroll 16
    for (int j = 0; j < J; ++j)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[j][v] = Vec<T>{};
  } else {
#pragma GCC unroll 16
    for (int j = 0; j < J; ++j)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[j][v] = load(start.data + j * start.stride + v * w);
  }
  const T* row[J];
#pragma GCC unroll 16
  for (int j = 0; j < J; ++j) row[j] = left == Left::rows ? a[first + j] : nullptr;
  for (Index i = 0; i < depth.count; ++i) {
    const Index k = depth[i];
    const T* across = left == Left::columns ? a[k] + first : nullptr;
    Vec<T> right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) right[v] = load(b.row(k) + v * w);
    if constexpr (V > few_vectors)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) __builtin_prefetch(b.row(k + ahead) + v * w, 0, 2);
#pragma GCC unroll 16
    for (int j = 0; j < J; ++j) {
      const T factor = left == Left::rows ? row[j][k] : across[j];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[j][v] += factor * right[v];
    }
  }
#pragma GCC unroll 16
  for (int j = 0; j < J; ++j)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      Vec<T> sum = sums[j][v];
      if constexpr (finish == Finish::positive_part) sum = positive_part(sum);
      if constexpr (finish == Finish::where_positive) sum = load(beside + j * c.stride + v * w) > 0 ? sum : Vec<T>{};
      store(c.row(j) + v * w, sum);
    }
}

// J rows of a result, their columns in groups of up to V vectors, of which the last two are about even.
template <class T, Left left, Finish finish, int J, int V, class Depth>
inline void strip(RowList<T> a, Index first, const Depth& depth, Matrix<const T> b, Index columns, Start<T> start,
                  Matrix<T> c, const T* beside) {
  for (Index vectors = columns / width<T>; vectors > 0;) {
    const Index here = vectors > V && vectors < 2 * V ? (vectors + 1) / 2 : smaller(vectors, V);
    const Index numbers = here * width<T>;
    const auto go = [&](auto count) {
      if constexpr (decltype(count)::value <= V)
        block<T, left, finish, J, decltype(count)::value>(a, first, depth, b, start, c, beside);
    };
    switch (here) {
      case 1: go(std::integral_constant<int, 1>{}); break;
      case 2: go(std::integral_constant<int, 2>{}); break;
      case 3: go(std::integral_constant<int, 3>{}); break;
      default: go(std::integral_constant<int, 4>{});
    }
    vectors -= here;
    b.data += numbers;
    c.data += numbers;
    start.data += start.data == nullptr ? 0 : numbers;
    beside += beside == nullptr ? 0 : numbers;
  }
}

inline constexpr Index most_depth = 512;  // at a time

// Rows of a result, J at a time and then what is left over. Where the left matrix is mostly zeros, the ks that add
// nothing are left out.
template <class T, Left left, Finish finish, int J, int V>
inline void strips(RowList<T> a, Index first, Index count, const Stretch& depth, bool zeros, Matrix<const T> b,
                   Index columns, Start<T> start, Matrix<T> c, const T* beside) {
  for (; count >= J; first += J, count -= J) {
    if (zeros) {
      std::uint32_t ks[most_depth];
      const Listed some = left == Left::rows ? columns_with_something<T, J>(a, first, depth, ks)
                                             : rows_with_something<T, J>(a, first, depth, ks);
      strip<T, left, finish, J, V>(a, first, some, b, columns, start, c, beside);
    } else {
      strip<T, left, finish, J, V>(a, first, depth, b, columns, start, c, beside);
    }
    c.data += J * c.stride;
    start.data += start.data == nullptr ? 0 : J * start.stride;
    beside += beside == nullptr ? 0 : J * c.stride;
  }
  if constexpr (J > 1) {
    constexpr int less = J > 4 ? 4 : J / 2;
    if (count > 0) strips<T, left, finish, less, V>(a, first, count, depth, zeros, b, columns, start, c, beside);
  }
}

// c (count, columns) = finish(start + a[first...] @ b) over a depth, one panel of b after another: as much of it as
// stays in the second cache while all rows pass by. A sum takes its terms in one order, whatever the panels.
template <class T, Left left, Finish finish, int J, int V>
inline void product(RowList<T> a, Index first, Index count, Index depth, bool zeros, Matrix<const T> b, Index columns,
                    Start<T> start, Matrix<T> c, const T* beside) {
  constexpr Index group = V * width<T>;
  const Index near = second_cache() / 2;
  const Index height = smaller(depth, most_depth), bytes = height * Index(sizeof(T));
  const Index most_columns = columns * bytes <= near ? columns : larger(near / bytes / group, 1) * group;
  for (Index done = 0; done < columns; done += most_columns) {
    const Index here = smaller(most_columns, columns - done);
    const Matrix<const T> panel{b.data + done, b.stride};
    const Matrix<T> to{c.data + done, c.stride};
    Start<T> from{start.data == nullptr ? nullptr : start.data + done, start.stride};
    Index k = 0;
    for (; k + height < depth; k += height) {
      strips<T, left, Finish::none, J, V>(a, first, count, {k, height}, zeros, panel, here, from, to, nullptr);
      from = {to.data, to.stride};
    }
    strips<T, left, finish, J, V>(a, first, count, {k, depth - k}, zeros, panel, here, from, to,
                                  beside == nullptr ? nullptr : beside + done);
  }
}

template <class T, Left left, Finish finish>
inline void product(RowList<T> a, Index first, Index count, Index depth, bool zeros, Matrix<const T> b, Index columns,
                    Start<T> start, Matrix<T> c, const T* beside) {
  if (columns <= few_vectors * width<T>)  // to list zeros would take longer than the sums
    product<T, left, finish, 8, few_vectors>(a, first, count, depth, false, b, columns, start, c, beside);
  else if constexpr (left == Left::rows && registers >= 32)
    product<T, left, finish, 8, 3>(a, first, count, depth, zeros, b, columns, start, c, beside);
  else
    product<T, left, finish, 6, 2 * few_vectors>(a, first, count, depth, zeros, b, columns, start, c, beside);
}

// c (rows, columns) = finish(start + a (rows, depth) @ b (depth, columns)); `zeros` says that a is mostly zeros.
template <Finish finish = Finish::none, class T>
inline void rows_times(RowList<T> a, Index rows, Index depth, Matrix<const T> b, Index columns, Start<T> start,
                       Matrix<T> c, bool zeros = false, const T* beside = nullptr) {
  product<T, Left::rows, finish>(a, 0, rows, depth, zeros, b, columns, start, c, beside);
}

// c (height, columns) = start + a[:, first:first + height].T @ b, with a (depth, ...) and b (depth, columns).
template <class T>
inline void columns_times(RowList<T> a, Index first, Index height, Index depth, Matrix<const T> b, Index columns,
                          Start<T> start, Matrix<T> c, bool zeros) {
  product<T, Left::columns, Finish::none>(a, first, height, depth, zeros, b, columns, start, c, nullptr);
}

// c (rows, columns) = start + a (rows, depth) @ b.T, with b (columns, depth): for a few columns, where the lanes lie
// along the depth (padded with zeros in b) and are summed at the end. c is packed: row r begins at r * columns.
template <class T>
inline void dots(RowList<T> a, Index rows, Index depth, Matrix<const T> b, Index columns, const T* start, T* c) {
  constexpr int w = width<T>;
  for (Index r = 0; r < rows; r += w) {
    const Index here = smaller(w, rows - r);
    const T* row[w];
    for (int j = 0; j < w; ++j) row[j] = a[r + (j < here ? j : 0)];
    for (Index o = 0; o < columns; ++o) {
      Vec<T> each[w] = {};
      for (Index k = 0; k < depth; k += w) {
        const Vec<T> right = load(b.row(o) + k);
#pragma GCC unroll 16
        for (int j = 0; j < w; ++j) each[j] += load(row[j] + k) * right;
      }
      const Vec<T> answers = sums<T>(each) + splat(start == nullptr ? T(0) : start[o]);
      T* to = c + r * columns + o;
      if (columns == 1) store(to, answers);  // c has room for a whole vector at its end
      else
        for (Index j = 0; j < here; ++j) to[j * columns] = answers[j];
    }
  }
}

// to (columns, rows) = from (rows, columns). Both have whole vectors in a row, and what is beyond the rows and columns
// of `from` is written too: `from` must be readable there.
template <class T>
inline void turn_over(Matrix<const T> from, Index rows, Index columns, Matrix<T> to) {
  constexpr int w = width<T>;
  for (Index i = 0; i < rows; i += w)
    for (Index j = 0; j < columns; j += w) {
      Vec<T> square[w];
#pragma GCC unroll 16
      for (int k = 0; k < w; ++k) square[k] = i + k < rows ? load(from.row(i + k) + j) : Vec<T>{};
      turn_over<T>(square);
#pragma GCC unroll 16
      for (int k = 0; k < w; ++k)
        if (j + k < columns) store(to.row(j + k) + i, square[k]);
    }
}

}  // namespace nineline::NINELINE_LEVEL
