// Compact rows: a few numbers and levels of a table, and what they become as inputs of a network.
//
// Spread out, such a row is mostly structure: a category is a single 1, a number among its intervals is ones, a fraction
// and zeros. So a dense layer that reads it never sees it spread out: the row is a list of entries, as a sparse one is.
// Where many rows meet the same weights, the ones are a single entry: the running sum of the weights of all intervals
// below the number. The gradient of a running sum belongs to each weight in it, and is handed on once a batch.
//
// Twins: NumberPart, LevelPart, Encoding and Compact in src/nineline/rows.py.
#pragma once

#include "layers.hpp"

namespace nineline::NINELINE_LEVEL {

// How many intervals lie below a number, and how much of the next one.
struct Filled {
  Index full;
  double part;
};

inline Filled fill(const EncodingPart& number, double v) {
  if (number.edge_count == 0) return {0, 0};
  Index full = 0;
  for (Index i = 1; i < number.edge_count; ++i) full += number.edges[i] <= v;
  if (full + 1 == number.edge_count || v <= number.edges[full]) return {full, 0};
  const double left = number.edges[full], right = number.edges[full + 1];
  return {full, (v - left) / (right - left)};
}

inline double bend(double v) { return v / __builtin_sqrt(1 + (v / 3) * (v / 3)); }

// The numbers of a row, as they lie.
struct Numbers {
  const void* data;
  bool are_double;
  double operator[](Index i) const {
    return are_double ? static_cast<const double*>(data)[i] : double(static_cast<const float*>(data)[i]);
  }
};

// Calls entry(input, value) for what a number becomes, by ascending input. With running sums the ones of its intervals
// are a single entry, whose place is behind all inputs.
template <class Entry>
inline void number_entries(const Encoding& encoding, const EncodingPart& part, double v, bool sums, const Entry& entry) {
  if (v != v) {
    if (part.missing) entry(part.place + part.width - 1, 1.0F);
    return;
  }
  entry(part.place, float(part.bent ? bend(v) : v));
  const Filled filled = fill(part, v);
  if (sums && filled.full > 0) entry(encoding.width + part.first_sum + filled.full - 1, 1.0F);
  for (Index i = 0; !sums && i < filled.full; ++i) entry(part.place + 1 + i, 1.0F);
  if (filled.part > 0) entry(part.place + 1 + filled.full, float(filled.part));
}

// The same for a whole row.
template <class Entry>
inline void row_entries(const Encoding& encoding, const Numbers& numbers, const std::int32_t* levels, bool sums,
                        const Entry& entry) {
  for (Index p = 0; p < encoding.part_count; ++p) {
    const EncodingPart& part = encoding.parts[p];
    if (!part.level) {
      number_entries(encoding, part, numbers[part.column], sums, entry);
    } else if (const std::int32_t level = levels[part.column]; part.levels == 0) {
      entry(part.place, float(level));
    } else if (level >= 0 && level < part.levels) {
      entry(part.place + level, 1.0F);
    }
  }
}

// Compact rows as a workspace holds them: entries for the dense layer that reads them, or spread out for any other.
template <class T>
class Entries {
 public:
  // Makes room for rows of an encoding, and perhaps an embedding's vectors in front of them.
  void take(const Encoding& encoding, const Layer& first, Index room, bool as_entries) {
    encoding_ = &encoding;
    embedding_ = first.vectors != nullptr ? &first : nullptr;
    const Index vectors = embedding_ != nullptr ? first.asked() : 0;
    const Index most = as_entries ? encoding.most_entries + vectors : encoding.width;
    if (room * most > room_) {
      room_ = room * most;
      values_ = Array<T>{room_};
      columns_ = Array<std::int32_t>{as_entries ? room_ : 0};
    }
    most_ = most;
  }

  // Row r as entries; `vectors` are the parameters of the embedding.
  SparseRow<T> list(Index r, const Numbers& numbers, const std::int32_t* levels, const T* vectors, bool sums) {
    T* const values = values_.data() + r * most_;
    std::int32_t* const columns = columns_.data() + r * most_;
    Index count = 0, shift = 0;
    if (embedding_ != nullptr) {
      shift = embedding_->asked() - embedding_->columns;
      for (Index c = 0; c < embedding_->columns; ++c) {
        const EmbeddingColumn& column = embedding_->vectors[c];
        const T* const vector = vectors + column.place + Index(levels[c]) * column.width;
        for (Index i = 0; i < column.width; ++i, ++count) {
          values[count] = vector[i];
          columns[count] = std::int32_t(column.start + i);
        }
      }
    }
    const Index raw = embedding_ != nullptr ? embedding_->columns : 0;
    row_entries(*encoding_, numbers, levels, sums, [&](Index input, float value) {
      if (input < raw) return;  // its vector is there
      values[count] = T(value);
      columns[count++] = std::int32_t(input + shift);
    });
    return {values, columns, count};
  }

  // Row r spread out.
  const T* spread(Index r, const Numbers& numbers, const std::int32_t* levels) {
    T* const row = values_.data() + r * most_;
    __builtin_memset(row, 0, most_ * sizeof(T));
    row_entries(*encoding_, numbers, levels, false, [&](Index input, float value) { row[input] = T(value); });
    return row;
  }

 private:
  const Encoding* encoding_ = nullptr;
  const Layer* embedding_ = nullptr;
  Array<T> values_;
  Array<std::int32_t> columns_;
  Index room_ = 0, most_ = 0;
};

// The running sums of a layer's weights over the intervals of each number, and the gradient by them.
template <class T>
class RunningSums {
 public:
  // `shift` is where the first of a row's inputs is among those of the layer.
  void take(const Encoding& encoding, Index stride, Index shift) {
    encoding_ = &encoding;
    stride_ = stride;
    shift_ = shift;
    if (encoding.sums * stride <= room_) return;
    room_ = encoding.sums * stride;
    sums_ = Array<T>{room_};
    gradient_ = Array<T>{room_};
  }

  Index count() const { return encoding_->sums; }
  Index parts() const { return encoding_->part_count; }
  const T* sums() const { return sums_.data(); }
  T* gradient() const { return gradient_.data(); }

  // The sums over the intervals of one part.
  void add_up(Index p, const T* weights) const {
    const EncodingPart& part = encoding_->parts[p];
    const T* from = weights + (part.place + shift_ + 1) * stride_;
    T* to = sums_.data() + part.first_sum * stride_;
    for (Index i = 0; i + 1 < part.edge_count; ++i, from += stride_, to += stride_)
      for (Index o = 0; o < stride_; o += width<T>)
        store(to + o, i == 0 ? load(from + o) : load(to - stride_ + o) + load(from + o));
  }

  // Turns the gradients by the sums of one part into those that each of its weights has from them: it is in the sum that
  // ends with it, and in all that follow.
  void hand_on(Index p) const {
    const EncodingPart& part = encoding_->parts[p];
    T* const first = gradient_.data() + part.first_sum * stride_;
    for (Index i = part.edge_count - 3; i >= 0; --i)
      for (Index o = 0; o < stride_; o += width<T>)
        store(first + i * stride_ + o, load(first + i * stride_ + o) + load(first + (i + 1) * stride_ + o));
  }

  // Adds what was handed on to the gradient of a block of the weights.
  void add_to(const Block& block, Matrix<T> gradient) const {
    for (Index p = 0; p < encoding_->part_count; ++p) {
      const EncodingPart& part = encoding_->parts[p];
      const Index first = part.place + shift_ + 1, end = first + part.edge_count - 1;
      for (Index i = larger(first, block.first_row); i < smaller(end, block.first_row + block.rows); ++i) {
        const T* const from = gradient_.data() + (part.first_sum + i - first) * stride_ + block.first_column;
        T* const to = gradient.row(i - block.first_row);
        for (Index o = 0; o < block.columns; o += width<T>) store(to + o, load(to + o) + load(from + o));
      }
    }
  }

 private:
  const Encoding* encoding_ = nullptr;
  Index stride_ = 0, shift_ = 0, room_ = 0;
  Array<T> sums_, gradient_;
};

}  // namespace nineline::NINELINE_LEVEL
