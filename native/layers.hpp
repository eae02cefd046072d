// Layers: how one lies in memory, and some rows at it.
//
// In a tile every layer's outputs are (rows, outputs) with each row padded to whole vectors. The padding never matters:
// weights there are zero, and so are errors. A layer of a few outputs after a padded one is `turned`: its weights are
// kept as (outputs, inputs), so that the lanes lie along its many inputs, and its outputs are packed without padding.
//
// Each kind is a class in a file of its own, with `forward` beside `backward`; kinds.hpp lists them.
// Twin: AbstractLayer in src/nineline/layers/contract.py.
#pragma once

#include "sparse.hpp"

namespace nineline::NINELINE_LEVEL {

// A column of whole numbers that an embedding reads, and its vectors.
struct EmbeddingColumn {
  Index levels, width;
  Index place;  // where the vectors begin among the layer's parameters
  Index start;  // where one goes in a row of outputs
};

struct Layer : LayerSpec {
  Index input_stride = 0;  // of a row of inputs in a tile
  Index stride = 0;        // of a row of outputs
  bool padded = true;      // its rows, to whole vectors
  bool input_is_packed = false;  // without padding, as the outputs of a turned layer are
  bool goes_on_elsewhere = false;  // its outputs, to a shortcut
  bool keeps_z = false;  // training needs the weighted sums after the outputs
  Index beside = 0;      // how many numbers of a row are kept for the way back beside its outputs

  bool turned = false;
  bool has_turned_copy = false;  // of its weights, for the errors of its inputs
  Index asked_inputs = 0;        // whose errors are asked for: the first so many
  bool penalised = false;        // whether l1 and l2 count its weights

  Index height = 0;   // of its weights in Python's vector, (height, outputs): 0 where it has none
  Index flat = 0;     // where its parameters begin there: the weights, then the bias
  Index place = 0;    // where they begin in ours: rows of `stride` (turned: `input_stride`), then bias
  Index weights = 0;  // how many numbers the weights take there
  Index size = 0;     // with the bias
  Index turned_place = 0, turned_stride = 0;  // where the turned copy begins, in the vector of those, and its rows
  Index block = 0;         // the number of its first block, as factors of learning rates count them
  EmbeddingColumn* vectors = nullptr;  // of an embedding, for each column; they stay in Python's vector

  // How many of its outputs are learned vectors, whose errors are asked for; those behind them are numbers of the data.
  Index asked() const {
    if (vectors == nullptr) return outputs;
    return vectors[columns - 1].start + vectors[columns - 1].width;
  }
  Index blocks() const { return vectors != nullptr ? columns : height > 0 ? (bias ? 2 : 1) : 0; }
  Index rows_of_weights() const { return turned ? outputs : height; }
  Index stride_of_weights() const { return turned ? input_stride : stride; }
  Index stride_of_bias() const { return size - weights; }
  Index flat_size() const {
    if (vectors == nullptr) return height > 0 ? (height + (bias ? 1 : 0)) * outputs : 0;
    return vectors[columns - 1].place + vectors[columns - 1].levels * vectors[columns - 1].width;
  }
  // Takes its place behind other layers, which end at these numbers.
  void place_in(Index& blocks_end, Index& flat_end, Index& end, Index& turned_end, Index padded_bias) {
    block = blocks_end;
    flat = flat_end;
    place = end;
    turned_place = turned_end;
    weights = rows_of_weights() * stride_of_weights();
    size = height == 0 ? 0 : weights + (bias ? padded_bias : 0);
    blocks_end += blocks();
    flat_end += flat_size();
    end += size;
    turned_end += has_turned_copy ? outputs * turned_stride : 0;
  }

  // Whether our layout is Python's, so that a vector of parameters can be used as it is.
  bool as_in_python() const { return !turned && stride == outputs; }
};

// A few numbers at most, for which a call of memcpy or memcmp would take longer than what it does: halves that overlap.
template <class T, int most = width<T>>
inline void copy_few(const T* from, Index count, T* to) {
  constexpr int half = most / 2;
  if constexpr (half > 0) {
    if (count < half) return copy_few<T, half>(from, count, to);
    __builtin_memcpy(to, from, half * sizeof(T));
    __builtin_memcpy(to + count - half, from + count - half, half * sizeof(T));
  }
}
template <class T, int most = width<T>>
inline bool same_few(const T* a, Index count, const T* b) {
  constexpr int half = most / 2;
  if constexpr (half > 0) {
    if (count < half) return same_few<T, half>(a, count, b);
    return __builtin_memcmp(a, b, half * sizeof(T)) == 0 &&
           __builtin_memcmp(a + count - half, b + count - half, half * sizeof(T)) == 0;
  }
  return true;
}

template <class T>
inline void copy_row(const T* from, Index count, T* to) {
  constexpr Index w = width<T>;
  if (count < w) return copy_few(from, count, to);
  for (Index i = 0; i + w <= count; i += w) store(to + i, load(from + i));
  store(to + count - w, load(from + count - w));
}

// Whether the bits are the same.
template <class T>
inline bool same_row(const T* a, Index count, const T* b) {
  constexpr Index w = width<T>;
  if (count < w) return same_few(a, count, b);
  Int<Vec<T>> all = bits(load(a + count - w)) ^ bits(load(b + count - w));
  for (Index i = 0; i + w <= count; i += w) all |= bits(load(a + i)) ^ bits(load(b + i));
  const Int<Vec<T>> none{};
  return __builtin_memcmp(&all, &none, sizeof all) == 0;
}

// Python's layout into ours. What is padding must be zero before, and stays so.
template <class T>
inline void pack(const Layer& at, const T* flat, T* padded) {
  if (at.turned) {
    for (Index o = 0; o < at.outputs; ++o)
      for (Index i = 0; i < at.inputs; ++i) padded[o * at.input_stride + i] = flat[i * at.outputs + o];
  } else {
    for (Index i = 0; i < at.height; ++i) copy_row(flat + i * at.outputs, at.outputs, padded + i * at.stride);
  }
  if (at.bias) copy_row(flat + at.height * at.outputs, at.outputs, padded + at.weights);
}

// And back.
template <class T>
inline void unpack(const Layer& at, const T* padded, T* flat) {
  if (at.turned) {
    for (Index o = 0; o < at.outputs; ++o)
      for (Index i = 0; i < at.inputs; ++i) flat[i * at.outputs + o] = padded[o * at.input_stride + i];
  } else {
    for (Index i = 0; i < at.height; ++i) copy_row(padded + i * at.stride, at.outputs, flat + i * at.outputs);
  }
  if (at.bias) copy_row(padded + at.weights, at.outputs, flat + at.height * at.outputs);
}

// Whether packing would change no bit.
template <class T>
inline bool is_packed(const Layer& at, const T* flat, const T* padded) {
  using Word = typename Simd<T>::Word;
  Word different = 0;
  if (at.turned) {
    for (Index o = 0; o < at.outputs; ++o)
      for (Index i = 0; i < at.inputs; ++i) {
        Word theirs, ours;
        __builtin_memcpy(&theirs, flat + i * at.outputs + o, sizeof(T));
        __builtin_memcpy(&ours, padded + o * at.input_stride + i, sizeof(T));
        different |= theirs ^ ours;
      }
  } else if (at.stride == at.outputs) {
    different = !same_row(flat, at.height * at.outputs, padded);
  } else {
    for (Index i = 0; i < at.height; ++i)
      different |= !same_row(flat + i * at.outputs, at.outputs, padded + i * at.stride);
  }
  return different == 0 && (!at.bias || same_row(flat + at.height * at.outputs, at.outputs, padded + at.weights));
}

// What is known of the layers before one, when it says how it lies.
struct Before {
  const Layer& layer;  // the one that it reads; for the first, the data
  bool first;          // whether those are the data
  bool learns;         // whether something before it learns, so that the errors of its inputs are asked for
};

// A tile of rows that has its own memory, and the list of its rows.
template <class T>
struct Tile {
  Array<T> numbers;
  Array<const T*> list;

  Tile() = default;
  Tile(Index rows, Index stride) : numbers{rows * stride}, list{rows} {
    for (Index r = 0; r < rows; ++r) list[r] = numbers.data() + r * stride;
  }
  T* data() const { return numbers.data(); }
  T* row(Index r) const { return const_cast<T*>(list[r]); }
  RowList<T> rows(Index first = 0) const { return list.data() + first; }
};

// The numbers that a step's draws are keyed by.
struct Drawing {
  std::uint64_t seed, step;
};

// Some rows at a layer: what goes in, what comes out, and what is kept beside it for the way back.
template <class T>
struct Stage {
  const T* parameters;  // the layer's own
  Index rows, in_batch;  // how many, and the number that the first has in its batch
  RowList<T> inputs;            // null where the data are read and are sparse
  const SparseRow<T>* sparse;   // then these
  bool mostly_zeros;            // the data, where they are read
  T *z, *outputs, *beside;      // z are the outputs where they are not kept; beside may be null
  const Drawing* drawing;       // null where the network runs
  RowList<T> other;             // of a shortcut: what it adds, or
  const SparseRow<T>* sparse_other;
  const T* sums;                // of compact rows: the running sums of the weights, or null

  // One row of inputs, at least as it was.
  void copy_inputs(Index r, Index width, T* to) const { copy_of(inputs, sparse, r, width, to); }
  static void copy_of(RowList<T> rows, const SparseRow<T>* sparse, Index r, Index width, T* to) {
    if (rows != nullptr) return copy_row(rows[r], width, to);
    __builtin_memset(to, 0, width * sizeof(T));
    for (Index e = 0; e < sparse[r].count; ++e) to[sparse[r].columns[e]] = sparse[r].values[e];
  }
};

// The layer below, as far as the way back asks: `whole` says that its errors are those that come back here alone, and
// that it has an activation that they can be carried through at once.
template <class T>
struct Below {
  const Layer& at;
  bool whole;
  const T *z, *outputs;
};

// A part of a layer's weights, as they lie: rows of `stride_of_weights`, columns in whole vectors.
struct Block {
  Index first_row, rows, first_column, columns;
};

// Numbers of a row that may end inside a vector: from(i) for each vector of them, written as far as the row goes.
template <class T, class From>
inline void write_row(Index count, T* to, const From& from) {
  constexpr Index w = width<T>;
  Index i = 0;
  for (; i + w <= count; i += w) store(to + i, from(i));
  if (i == count) return;
  T last[w];
  store(last, from(i));
  copy_few(last, count - i, to + i);
}

}  // namespace nineline::NINELINE_LEVEL
