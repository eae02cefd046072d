// Sparse rows: of which only what is not zero is kept. Their two products add in the order of the dense ones, which may
// leave out zeros too (zeros.hpp), so the results are the same bits.
//
// Twin: Sparse in src/nineline/rows.py.
#pragma once

#include "products.hpp"

namespace nineline::NINELINE_LEVEL {

// The entries of one row, by ascending column.
template <class T>
struct SparseRow {
  const T* values;
  const std::int32_t* columns;
  Index count;
};

// The entries of a batch by their column, and those of a column by ascending row.
template <class T>
class ByColumn {
 public:
  void list(const SparseRow<T>* rows, Index count, Index columns) {
    Index entries = 0;
    for (Index r = 0; r < count; ++r) entries += rows[r].count;
    if (columns + 2 > columns_room_) {
      columns_room_ = columns + 2;
      begins_ = Array<Index>{columns_room_};
    }
    if (entries > room_) {
      room_ = larger(entries, 2 * room_);
      values_ = Array<T>{room_};
      rows_ = Array<std::uint32_t>{room_};
    }
    // begins_[c + 2] counts those of column c, then becomes where the next one of column c + 1 goes
    __builtin_memset(begins_.data(), 0, (columns + 2) * sizeof(Index));
    for (Index r = 0; r < count; ++r)
      for (Index e = 0; e < rows[r].count; ++e) ++begins_[rows[r].columns[e] + 2];
    for (Index c = 0; c < columns; ++c) begins_[c + 2] += begins_[c + 1];
    for (Index r = 0; r < count; ++r)
      for (Index e = 0; e < rows[r].count; ++e) {
        const Index place = begins_[rows[r].columns[e] + 1]++;
        values_[place] = rows[r].values[e];
        rows_[place] = std::uint32_t(r);
      }
  }

  Index begin(Index column) const { return begins_[column]; }
  Index end(Index column) const { return begins_[column + 1]; }
  T value(Index entry) const { return values_[entry]; }
  Index row(Index entry) const { return Index(rows_[entry]); }

 private:
  Array<Index> begins_;
  Array<T> values_;
  Array<std::uint32_t> rows_;
  Index room_ = 0, columns_room_ = 0;
};

// The rows of a matrix, and behind them those of another.
template <class T>
struct Stacked {
  T* data;
  T* behind;
  Index rows, stride;
  T* row(Index i) const { return i < rows ? data + i * stride : behind + (i - rows) * stride; }
};

// to[0:columns] = from[0:columns] + sum over i below count of factor(i) * row(i)[0:columns], in groups of vectors that
// stay in registers; `from` may be null, for zeros.
template <class T, class Factor, class Row>
inline void add_rows(const T* from, Index count, const Factor& factor, const Row& row, Index columns, T* to) {
  constexpr Index w = width<T>;
  const auto go = [&](auto vectors, Index begin) {
    constexpr int V = decltype(vectors)::value;
    Vec<T> sums[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[v] = from == nullptr ? Vec<T>{} : load(from + begin + v * w);
    for (Index i = 0; i < count; ++i) {
      const T each = factor(i);
      const T* const numbers = row(i) + begin;
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[v] += each * load(numbers + v * w);
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(to + begin + v * w, sums[v]);
  };
  Index begin = 0;
  for (; begin + 4 * w <= columns; begin += 4 * w) go(std::integral_constant<int, 4>{}, begin);
  for (; begin + 2 * w <= columns; begin += 2 * w) go(std::integral_constant<int, 2>{}, begin);
  for (; begin < columns; begin += w) go(std::integral_constant<int, 1>{}, begin);
}

// to = start + inputs @ weights, rows of a stride; `start` is a bias, or null.
template <class T>
inline void sparse_times(const SparseRow<T>* inputs, Index rows, const Stacked<const T>& weights, const T* start, T* to) {
  const Index stride = weights.stride;
  for (Index r = 0; r < rows; ++r) {
    const SparseRow<T>& row = inputs[r];
    add_rows(
        start, row.count, [&](Index i) { return row.values[i]; },
        [&](Index i) { return weights.row(row.columns[i]); }, stride, to + r * stride);
  }
}

// gradient = inputs.T @ delta for some of the inputs' columns, and some of delta's.
template <class T>
inline void columns_times(const ByColumn<T>& inputs, Index first_row, Index rows, RowList<T> delta, Index first_column,
                          Index columns, Matrix<T> gradient) {
  for (Index k = 0; k < rows; ++k) {
    const Index first = inputs.begin(first_row + k), count = inputs.end(first_row + k) - first;
    add_rows<T>(
        nullptr, count, [&](Index i) { return inputs.value(first + i); },
        [&](Index i) { return delta[inputs.row(first + i)] + first_column; }, columns, gradient.row(k));
  }
}

// gradient += inputs.T @ delta, row by row.
template <class T>
inline void add_columns_times(const SparseRow<T>* inputs, RowList<T> delta, Index rows, const Stacked<T>& gradient) {
  for (Index r = 0; r < rows; ++r)
    for (Index e = 0; e < inputs[r].count; ++e) {
      T* const to = gradient.row(inputs[r].columns[e]);
      const T value = inputs[r].values[e];
      for (Index i = 0; i < gradient.stride; i += width<T>) store(to + i, load(to + i) + value * load(delta[r] + i));
    }
}

}  // namespace nineline::NINELINE_LEVEL
