// Many networks of one shape side by side: each has a lane of every vector.
//
// Number i of all networks is two vectors, from i * lanes on: parameters lie as Python has them, and so do outputs, row by
// row. Nothing is padded and nothing is added up over lanes, so a network comes out the same whichever others lie beside
// it, and a network of a few nodes keeps a processor as busy as a large one. Two vectors and not one, for what is around
// the arithmetic of so small matrices takes as long as the arithmetic.
//
// Twin: src/nineline/engines/stacked.py, where the networks are an axis of every array.
#pragma once

#include "batches.hpp"

namespace nineline::NINELINE_LEVEL {

inline constexpr int vectors = 2;  // of a number
template <class T>
inline constexpr Index lanes = vectors * width<T>;

// A matrix of numbers.
template <class T>
struct Grid {
  T* data;
  Index down, across;  // from a row to the next, and from a column to the next, in numbers
  T* at(Index row, Index column) const { return data + (row * down + column * across) * lanes<T>; }
};

// What goes into a layer: numbers in lanes, row by row; or rows of the data, which all networks share.
template <class T>
struct Source {
  const T* own = nullptr;
  Index columns = 0;
  RowList<T> shared = nullptr;
  // The vector of a number that begins at a lane.
  Vec<T> operator()(Index r, Index i, Index lane) const {
    return own != nullptr ? load(own + (r * columns + i) * lanes<T> + lane) : splat(shared[r][i]);
  }
};

// The left side of a product: `from(r)` is where row r begins, and
// `at(place, k, lane)` its number at depth k.
template <class T>
struct LeftInLanes {
  Grid<const T> a;
  struct Place {
    const T* row;
  };
  Place from(Index r) const { return {a.at(r, 0)}; }
  Vec<T> at(const Place& place, Index k, Index lane) const { return load(place.row + k * a.across * lanes<T> + lane); }
};
// Rows of the data, which all networks share.
template <class T>
struct LeftShared {
  RowList<T> rows;
  struct Place {
    const T* row;
  };
  Place from(Index r) const { return {rows[r]}; }
  Vec<T> at(const Place& place, Index k, Index) const { return splat(place.row[k]); }
};
// And turned over: row r is number r of each of them.
template <class T>
struct LeftSharedTurned {
  RowList<T> rows;
  struct Place {
    Index column;
  };
  Place from(Index r) const { return {r}; }
  Vec<T> at(const Place& place, Index k, Index) const { return splat(rows[k][place.column]); }
};

// c(r, j) = start(j) + sum over k of a(r, k) * b(k, j), R rows by C columns of it; where there is no start, 0 or what c
// was before.
template <int R, int C, class T, class Left>
inline void block_in_lanes(const Left& a, Index depth, Grid<const T> b, const T* start, bool adding, Index row,
                           Index column, Grid<T> c) {
  constexpr Index w = width<T>;
  T* const to = c.at(row, column);
  const Index down = c.down * lanes<T>, across = c.across * lanes<T>, right_across = b.across * lanes<T>;
  Vec<T> sums[R][C][vectors];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int j = 0; j < C; ++j)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v)
        sums[r][j][v] = start != nullptr ? load(start + (column + j) * lanes<T> + v * w)
                        : adding         ? load(to + r * down + j * across + v * w)
                                         : Vec<T>{};
  typename Left::Place places[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) places[r] = a.from(row + r);
  const T* from = b.at(0, column);
  for (Index k = 0; k < depth; ++k, from += b.down * lanes<T>) {
    Vec<T> right[C][vectors];
#pragma GCC unroll 4
    for (int j = 0; j < C; ++j)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) right[j][v] = load(from + j * right_across + v * w);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        const Vec<T> left = a.at(places[r], k, v * w);
#pragma GCC unroll 4
        for (int j = 0; j < C; ++j) sums[r][j][v] += left * right[j][v];
      }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int j = 0; j < C; ++j)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) store(to + r * down + j * across + v * w, sums[r][j][v]);
}

template <int R, class T, class Left>
inline void rows_in_lanes(const Left& a, Index depth, Grid<const T> b, Index columns, const T* start, bool adding,
                          Index row, Grid<T> c) {
  constexpr int most = registers >= 32 ? 3 : 1;  // with 4 rows, as many sums as the registers hold
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

// Adds a vector of numbers to what is held in double.
template <class T>
inline void add_lanes(Vec<T> from, double* to) {
  T numbers[width<T>];
  store(numbers, from);
  for (int l = 0; l < width<T>; ++l) to[l] += double(numbers[l]);
}

// Of each network a row of numbers becomes a lane, and back. Lanes that no network is left for repeat the first.
template <class T>
inline void into_lanes(const T* const* rows, Index networks, Index count, T* to) {
  constexpr Index w = width<T>;
  for (Index lane = 0; lane < lanes<T>; lane += w) {
    const T* from[w];
    for (Index l = 0; l < w; ++l) from[l] = rows[lane + l < networks ? lane + l : 0];
    Index i = 0;
    for (; i + w <= count; i += w) {
      Vec<T> square[w];
      for (Index l = 0; l < w; ++l) square[l] = load(from[l] + i);
      turn_over<T>(square);
      for (Index l = 0; l < w; ++l) store(to + (i + l) * lanes<T> + lane, square[l]);
    }
    for (; i < count; ++i)
      for (Index l = 0; l < w; ++l) to[i * lanes<T> + lane + l] = from[l][i];
  }
}

template <class T>
inline void out_of_lanes(const T* from, Index networks, Index count, T* const* rows) {
  for (Index l = 0; l < networks; ++l)
    for (Index i = 0; i < count; ++i) rows[l][i] = from[i * lanes<T> + l];
}

}  // namespace nineline::NINELINE_LEVEL
