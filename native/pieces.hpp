// What is done to the parameters piece by piece: their gradient, the penalties on them, clipping, and the move.
//
// Twins: Reference._penalize, _clip and _move in src/nineline/engines/reference.py.
#pragma once

#include "layout.hpp"
#include "optimizers.hpp"

namespace nineline::NINELINE_LEVEL {

// A piece of some vector: of weights and bias what it does not have is null.
template <class T>
struct PieceOf {
  Matrix<T> weights;
  T* bias;
};

template <class T>
inline PieceOf<T> piece_of(const Layout<T>& layout, T* vector, const Piece& piece) {
  const Layer& at = layout.layer(piece.layer);
  const Index stride = at.stride_of_weights();
  T* layer = vector + at.place;
  return {{piece.weights ? layer + piece.block.first_row * stride + piece.block.first_column : nullptr, stride},
          piece.bias ? layer + at.weights + (at.turned ? 0 : piece.block.first_column) : nullptr};
}

// A thread's own memory as a piece.
template <class T>
inline PieceOf<T> piece_in(T* scratch, const Piece& piece) {
  return {{piece.weights ? scratch : nullptr, piece.block.columns},
          piece.bias ? scratch + piece.block.rows * piece.block.columns : nullptr};
}

inline Index bias_of_a_piece(const Layer& at, const Piece& piece) {
  return at.turned ? at.stride_of_bias() : piece.block.columns;
}

template <class T>
inline void add(const T* from, Index count, bool adding, T* to) {
  for (Index i = 0; i < count; i += width<T>)
    store(to + i, adding ? load(to + i) + load(from + i) : load(from + i));
}

// gradient (+)= another.
template <class T>
inline void add_piece(const Layer& at, const Piece& piece, const PieceOf<T>& from, bool adding, const PieceOf<T>& to) {
  if (piece.weights)
    for (Index r = 0; r < piece.block.rows; ++r)
      add(from.weights.row(r), piece.block.columns, adding, to.weights.row(r));
  if (piece.bias) add(from.bias, bias_of_a_piece(at, piece), adding, to.bias);
}

// gradient += the derivative of l1 * sum(|w|) + l2 / 2 * sum(w^2), by the weights of a piece.
template <class T>
inline void add_penalty(double l1, double l2, const Block& block, Matrix<T> weights, Matrix<T> gradient) {
  const Vec<T> ones = splat(T(l1)), twos = splat(T(l2));
  for (Index r = 0; r < block.rows; ++r)
    for (Index i = 0; i < block.columns; i += width<T>) {
      const Vec<T> w = load(weights.row(r) + i), sign = w > 0 ? ones : w < 0 ? -ones : Vec<T>{};
      T* g = gradient.row(r) + i;
      store(g, load(g) + (sign + twos * w));
    }
}

// l1 * sum(|w|) + l2 / 2 * sum(w^2) over the weights of some pieces.
template <class T>
inline double penalty(const Layout<T>& layout, double l1, double l2, T* parameters, Index first, Index end) {
  if (l1 == 0 && l2 == 0) return 0;
  double size = 0, square = 0;
  for (Index p = first; p < smaller(end, layout.piece_count()); ++p) {
    if (!layout.layer(layout.piece(p).layer).penalised) continue;
    const Matrix<T> weights = piece_of(layout, parameters, layout.piece(p)).weights;
    const Block& block = layout.piece(p).block;
    Vec<T> sizes{}, squares{};
    for (Index r = 0; r < block.rows; ++r)
      for (Index i = 0; i < block.columns; i += width<T>) {
        const Vec<T> each = load(weights.row(r) + i);
        sizes += absolute(each);
        squares += each * each;
      }
    size += double(sum(sizes));
    square += double(sum(squares));
  }
  return l1 * size + l2 / 2 * square;
}

// The sum of the squares of some numbers, which are followed by zeros up to a whole vector: in pieces, each of which is
// added up in vectors.
template <class T>
inline double sum_of_squares(const T* numbers, Index count) {
  constexpr Index w = width<T>, piece = 64 * w;
  double total = 0;
  for (Index begin = 0; begin < count; begin += piece) {
    Vec<T> sums[4]{};
    Index i = begin;
    const Index end = smaller(count, begin + piece);
    for (; i + 4 * w <= end; i += 4 * w)
#pragma GCC unroll 4
      for (Index j = 0; j < 4; ++j) {
        const Vec<T> each = load(numbers + i + j * w);
        sums[j] += each * each;
      }
    for (; i < end; i += w) {
      const Vec<T> each = load(numbers + i);
      sums[0] += each * each;
    }
    total += double(sum((sums[0] + sums[1]) + (sums[2] + sums[3])));
  }
  return total;
}

// What shortens a gradient to a norm where it is longer. each(work) calls work(numbers, count) for everything that the
// gradient has. Where squares are too large or too small for their type, they are taken of shares of the largest entry.
template <class T, class Each>
inline T shortening(const Each& each, double most) {
  double largest = 0, squares = 0;
  each([&](const T* gradient, Index size) { squares += sum_of_squares(gradient, size); });
  if (squares > 1e-12 && squares < 1e36) {
    const double norm = __builtin_sqrt(squares);
    return norm > most ? T(most / norm) : T(1);
  }
  squares = 0;
  each([&](const T* gradient, Index size) {
    for (Index i = 0; i < size; ++i) {
      const double entry = gradient[i] < 0 ? -double(gradient[i]) : double(gradient[i]);
      largest = entry > largest || entry != entry ? entry : largest;
    }
  });
  each([&](const T* gradient, Index size) {
    for (Index i = 0; i < size; ++i) squares += double(gradient[i]) / largest * (double(gradient[i]) / largest);
  });
  const double norm = largest > 0 ? largest * __builtin_sqrt(squares) : 0;
  return norm > most ? T(most / norm) : T(1);
}

// One step of a rule, with learning rates of their own for weights and bias.
template <class T, class Step>
inline void move_piece(const Layer& at, const Piece& piece, const Step& weights, const Step& bias, const Vectors<T>& vectors,
                       const Vectors<T>& before, const PieceOf<T>& gradient, T scale) {
  const Block& block = piece.block;
  const Index stride = at.stride_of_weights();
  if (piece.weights) {
    const Index place = at.place + block.first_row * stride + block.first_column;
    const bool together = block.columns == stride && gradient.weights.stride == stride;
    const Index runs = together ? 1 : block.rows, count = together ? block.rows * stride : block.columns;
    for (Index r = 0; r < runs; ++r)
      update(weights, vectors, before, place + r * stride, count, gradient.weights.row(r), scale);
  }
  if (piece.bias)
    update(bias, vectors, before, at.place + at.weights + (at.turned ? 0 : block.first_column),
           bias_of_a_piece(at, piece), gradient.bias, scale);
}

}  // namespace nineline::NINELINE_LEVEL
