// Many networks of one shape side by side: each has a lane of every vector.
//
// Number i of all networks is vector i: parameters lie as Python has them, one vector each, and so do outputs, row by
// row. Nothing is padded and nothing is added up over lanes, so a network comes out the same whichever others lie beside
// it, and a network of a few nodes keeps a processor as busy as a large one.
//
// Twin: src/nineline/engines/stacked.py, where the networks are an axis of every array.
#pragma once

#include "batches.hpp"

namespace nineline::NINELINE_LEVEL {

// A matrix of vectors.
template <class T>
struct Grid {
  T* data;
  Index down, across;  // from a row to the next, and from a column to the next, in vectors
  T* at(Index row, Index column) const { return data + (row * down + column * across) * width<T>; }
};

// What goes into a layer: vectors, row by row; or rows of the data, which all networks share.
template <class T>
struct Source {
  const T* lanes = nullptr;
  Index columns = 0;
  RowList<T> shared = nullptr;
  Vec<T> operator()(Index r, Index i) const {
    return lanes != nullptr ? load(lanes + (r * columns + i) * width<T>) : splat(shared[r][i]);
  }
};

// The left side of a product, by row and depth.
template <class T>
struct LeftInLanes {
  Grid<const T> a;
  Vec<T> operator()(Index r, Index k) const { return load(a.at(r, k)); }
};
template <class T>
struct LeftShared {
  RowList<T> rows;
  Vec<T> operator()(Index r, Index k) const { return splat(rows[r][k]); }
};
template <class T>
struct LeftSharedTurned {
  RowList<T> rows;
  Vec<T> operator()(Index r, Index k) const { return splat(rows[k][r]); }
};

// c(r, j) = start(j) + sum over k of a(r, k) * b(k, j), R rows by C columns of it; where there is no start, 0 or what c
// was before.
template <int R, int C, class T, class Left>
inline void block_in_lanes(const Left& a, Index depth, Grid<const T> b, const T* start, bool adding, Index row,
                           Index column, Grid<T> c) {
  Vec<T> sums[R][C];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int j = 0; j < C; ++j)
      sums[r][j] = start != nullptr ? load(start + (column + j) * width<T>)
                   : adding         ? load(c.at(row + r, column + j))
                                    : Vec<T>{};
  for (Index k = 0; k < depth; ++k) {
    Vec<T> right[C];
#pragma GCC unroll 4
    for (int j = 0; j < C; ++j) right[j] = load(b.at(k, column + j));
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const Vec<T> left = a(row + r, k);
#pragma GCC unroll 4
      for (int j = 0; j < C; ++j) sums[r][j] += left * right[j];
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int j = 0; j < C; ++j) store(c.at(row + r, column + j), sums[r][j]);
}

template <int R, class T, class Left>
inline void rows_in_lanes(const Left& a, Index depth, Grid<const T> b, Index columns, const T* start, bool adding,
                          Index row, Grid<T> c) {
  constexpr int most = registers >= 32 ? 4 : 2;
  Index j = 0;
  for (; j + most <= columns; j += most) block_in_lanes<R, most>(a, depth, b, start, adding, row, j, c);
  if (most > 2 && j + 2 <= columns) block_in_lanes<R, 2>(a, depth, b, start, adding, row, j, c), j += 2;
  if (j < columns) block_in_lanes<R, 1>(a, depth, b, start, adding, row, j, c);
}

template <class T, class Left>
inline void product_in_lanes(const Left& a, Index rows, Index depth, Grid<const T> b, Index columns, const T* start,
                             bool adding, Grid<T> c) {
  Index r = 0;
  for (; r + 4 <= rows; r += 4) rows_in_lanes<4>(a, depth, b, columns, start, adding, r, c);
  if (r + 2 <= rows) rows_in_lanes<2>(a, depth, b, columns, start, adding, r, c), r += 2;
  if (r < rows) rows_in_lanes<1>(a, depth, b, columns, start, adding, r, c);
}

// Adds a number of each network to what is held in double.
template <class T>
inline void add_lanes(Vec<T> from, double (&to)[width<T>]) {
  T numbers[width<T>];
  store(numbers, from);
  for (int l = 0; l < width<T>; ++l) to[l] += double(numbers[l]);
}

// Of each network a row of numbers becomes a lane, and back. Lanes that no network is left for repeat the first.
template <class T>
inline void into_lanes(const T* const* rows, Index networks, Index count, T* to) {
  constexpr Index w = width<T>;
  const T* from[w];
  for (Index l = 0; l < w; ++l) from[l] = rows[l < networks ? l : 0];
  Index i = 0;
  for (; i + w <= count; i += w) {
    Vec<T> square[w];
    for (Index l = 0; l < w; ++l) square[l] = load(from[l] + i);
    turn_over<T>(square);
    for (Index l = 0; l < w; ++l) store(to + (i + l) * w, square[l]);
  }
  for (; i < count; ++i)
    for (Index l = 0; l < w; ++l) to[i * w + l] = from[l][i];
}

template <class T>
inline void out_of_lanes(const T* from, Index networks, Index count, T* const* rows) {
  for (Index l = 0; l < networks; ++l)
    for (Index i = 0; i < count; ++i) rows[l][i] = from[i * width<T> + l];
}

}  // namespace nineline::NINELINE_LEVEL
