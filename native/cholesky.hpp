// Systems of equations with a symmetric matrix that is positive definite: A = U.T @ U, U an upper triangle.
//
// Only the upper triangle of A is read; U takes its place. Rows are padded to whole vectors, and what is written into
// the padding is never read as a number of the matrix.
// Twin: numpy.linalg.cholesky, as src/nineline/engines/curvature.py uses it.
#pragma once

#include "products.hpp"
#include "threads.hpp"

namespace nineline::NINELINE_LEVEL {

inline constexpr Index rows_of_a_panel = 48;

// row[from:end] -= factor * other[from:end], in whole vectors from the one that holds `from` on.
template <class T>
inline void take_off(T* row, T factor, const T* other, Index from, Index end) {
  for (Index j = from / width<T> * width<T>; j < end; j += width<T>) store(row + j, load(row + j) - factor * load(other + j));
}

// The panel of rows first ... first + rows of U, whose rows above have been taken off; false where a pivot is none. In the
// vector that holds a pivot, what lies before it becomes 0.
template <class T>
inline bool factor_panel(Matrix<T> a, Index n, Index first, Index rows) {
  for (Index k = first; k < first + rows; ++k) {
    T* const row = a.row(k);
    const T pivot = row[k];
    if (!(pivot > 0) || !__builtin_isfinite(pivot)) return false;
    const T root = T(__builtin_sqrt(double(pivot))), share = 1 / root;
    const Index begin = k / width<T> * width<T>;
    for (Index j = begin; j < n; j += width<T>) store(row + j, load(row + j) * share);
    for (Index j = begin; j < k; ++j) row[j] = 0;
    row[k] = root;
    for (Index i = k + 1; i < first + rows; ++i) take_off(a.row(i), row[i], row, i, n);
  }
  return true;
}

// A -> U, a panel at a time; false where A is not positive definite to rounding. `negated` has room for a panel.
template <class T>
inline bool factor(Matrix<T> a, Index n, T* negated, Team& team) {
  for (Index first = 0; first < n; first += rows_of_a_panel) {
    const Index rows = smaller(rows_of_a_panel, n - first), below = first + rows;
    if (!factor_panel(a, n, first, rows)) return false;
    if (below == n) break;
    const Index stride = a.stride;
    const T* list[rows_of_a_panel];
    for (Index k = 0; k < rows; ++k) {
      T* const to = negated + k * stride;
      for (Index j = below / width<T> * width<T>; j < n; j += width<T>) store(to + j, -load(a.row(first + k) + j));
      list[k] = to;
    }
    // what is below, less what this panel adds to it
    const Index strips = (n - below + rows_of_a_panel - 1) / rows_of_a_panel;
    team.each(strips, n - below < 256, [&](int, Index s) {
      const Index from = below + s * rows_of_a_panel, height = smaller(rows_of_a_panel, n - from);
      const Index left = from / width<T> * width<T>, columns = round_up(n, width<T>) - left;
      T* const to = a.row(from) + left;
      columns_times<T>(list, from, height, rows, {a.row(first) + left, stride}, columns, {to, stride}, {to, stride}, false);
    });
  }
  return true;
}

// x -> the solution y of U.T @ y = x, from row `first` on, above which x is 0.
template <class T>
inline void solve_lower(Matrix<const T> u, Index n, T* x, Index first = 0) {
  for (Index k = first; k < n; ++k) {
    const T* const row = u.row(k);
    const T value = x[k] / row[k];
    take_off(x, value, row, k, n);  // before the pivot there are zeros
    x[k] = value;
  }
}

// y -> the solution x of U @ x = y. What lies behind y must be zeros up to a whole vector.
template <class T>
inline void solve_upper(Matrix<const T> u, Index n, T* y) {
  constexpr Index w = width<T>;
  for (Index i = n; i < round_up(n, w); ++i) y[i] = 0;
  for (Index k = n - 1; k >= 0; --k) {
    const T* const row = u.row(k);
    const T right = y[k];
    y[k] = 0;
    Vec<T> sums{};
    for (Index j = k / w * w; j < n; j += w) sums += load(row + j) * load(y + j);
    y[k] = (right - sum(sums)) / row[k];
  }
}

// The trace of the inverse of U.T @ U: the squares of the inverse of U added up. `x` has room for a row.
template <class T>
inline T trace_of_inverse(Matrix<const T> u, Index n, T* x) {
  T total = 0;
  for (Index k = 0; k < n; ++k) {
    for (Index i = k; i < round_up(n, width<T>); ++i) x[i] = 0;
    x[k] = 1;
    solve_lower(u, n, x, k);
    for (Index i = k; i < n; ++i) total += x[i] * x[i];
  }
  return total;
}

}  // namespace nineline::NINELINE_LEVEL
