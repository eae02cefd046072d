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
// Twins: Layer.compute, Layer.steps and Layer.input_errors in src/nineline/layers.py.
#pragma once

#include "arrays.hpp"

namespace nineline::NINELINE_LEVEL {

template <class T>
using Rows = const T* const*;

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

// c[j][v] = start[j][v] + sum over k of a(j, k) * b[k][v], with a(j, k) = a[first + j][k] for Left::rows and
// a[k][first + j] for Left::columns.
template <class T, Left left, Finish finish, int J, int V>
inline void block(Rows<T> a, Index first, Index begin, Index end, Matrix<const T> b, Start<T> start, Matrix<T> c,
                  const T* beside) {
  constexpr int w = width<T>;
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
  for (Index k = begin; k < end; ++k) {
    const T* across = left == Left::columns ? a[k] + first : nullptr;
    Vec<T> right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) right[v] = load(b.row(k) + v * w);
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

// As many rows as fit in the registers beside the vectors of the right matrix; then what is left over.
template <class T, Left left, Finish finish, int J, int V>
inline void strip(Rows<T> a, Index first, Index count, Index begin, Index end, Matrix<const T> b, Start<T> start,
                  Matrix<T> c, const T* beside) {
  const auto next = [&](Index rows) {
    first += rows;
    count -= rows;
    c.data += rows * c.stride;
    if constexpr (finish == Finish::where_positive) beside += rows * c.stride;
    start.data += start.data == nullptr ? 0 : rows * start.stride;
  };
  while (count >= J) {
    block<T, left, finish, J, V>(a, first, begin, end, b, start, c, beside);
    next(J);
  }
  if constexpr (J > 1) {
    constexpr int less = J > 4 ? 4 : J / 2;
    if (count > 0) strip<T, left, finish, less, V>(a, first, count, begin, end, b, start, c, beside);
  }
}

inline constexpr int most_vectors = registers >= 32 ? 4 : 2;
template <int V>
inline constexpr int rows_at_once = registers >= 32 ? (V == 4 ? 6 : 8) : (V == 2 ? 6 : 8);

// c (count, columns) = finish(start + a[first...] @ b) over a depth. The columns go in groups of V vectors, those left
// over in smaller ones, and the depth in slices of b that stay near while all rows pass by.
template <class T, Left left, Finish finish, int V>
inline void product(Rows<T> a, Index first, Index count, Index depth, Matrix<const T> b, Index columns, Start<T> start,
                    Matrix<T> c, const T* beside) {
  constexpr Index group = V * width<T>;
  constexpr int J = rows_at_once<V>;
  if constexpr (V > 1)
    if (columns < group) return product<T, left, finish, V / 2>(a, first, count, depth, b, columns, start, c, beside);
  constexpr Index slice = 65536 / (group * Index(sizeof(T)));
  Index done = 0;
  for (; done + group <= columns; done += group) {
    const Matrix<T> to{c.data + done, c.stride};
    Start<T> from = start;
    if (from.data != nullptr) from.data += done;
    Index begin = 0;
    do {
      const Index end = depth - begin > slice + slice / 2 ? begin + slice : depth;
      const Matrix<const T> slice_of_b{b.data + done, b.stride};
      if (end < depth) strip<T, left, Finish::none, J, V>(a, first, count, begin, end, slice_of_b, from, to, nullptr);
      else strip<T, left, finish, J, V>(a, first, count, begin, end, slice_of_b, from, to, beside + done);
      from = {to.data, to.stride};
      begin = end;
    } while (begin < depth);
  }
  if constexpr (V > 1) {
    if (done < columns) {
      if (start.data != nullptr) start.data += done;
      product<T, left, finish, V / 2>(a, first, count, depth, {b.data + done, b.stride}, columns - done, start,
                                      {c.data + done, c.stride}, beside + done);
    }
  }
}

// c (rows, columns) = finish(start + a (rows, depth) @ b (depth, columns)).
template <Finish finish = Finish::none, class T>
inline void rows_times(Rows<T> a, Index rows, Index depth, Matrix<const T> b, Index columns, Start<T> start,
                       Matrix<T> c, const T* beside = nullptr) {
  product<T, Left::rows, finish, most_vectors>(a, 0, rows, depth, b, columns, start, c, beside);
}

// c (height, columns) = start + a[:, first:first + height].T @ b, with a (depth, ...) and b (depth, columns).
template <class T>
inline void columns_times(Rows<T> a, Index first, Index height, Index depth, Matrix<const T> b, Index columns,
                          Start<T> start, Matrix<T> c) {
  product<T, Left::columns, Finish::none, most_vectors>(a, first, height, depth, b, columns, start, c, nullptr);
}

// c (rows, columns) = start + a (rows, depth) @ b.T, with b (columns, depth): for a few columns, where the lanes lie
// along the depth (padded with zeros in b) and are summed at the end. c is packed: row r begins at r * columns.
template <class T>
inline void dots(Rows<T> a, Index rows, Index depth, Matrix<const T> b, Index columns, const T* start, T* c) {
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
