// An embedding: whole numbers become vectors, and only those that come up are read and moved.
//
// The vectors stay where Python has them, and so does what the optimizer remembers of them, in the same order. The
// gradient of a step is a list of the vectors that came up, each with the sum of its errors; rows that count nothing are
// none.
// Twin: Embedding in src/nineline/layers/embedding.py.
#pragma once

#include "layers.hpp"
#include "optimizers.hpp"

namespace nineline::NINELINE_LEVEL {

struct Embedding {
  static constexpr const char* name = "embedding";
  static constexpr bool runs = true;

  static Index parameters(const LayerSpec& layer) {
    Index count = 0;
    for (Index c = 0; c < layer.columns; ++c) count += layer.levels[c] * layer.widths[c];
    return count;
  }

  template <class T>
  static double lay_out(Layer& at, const Before&) {
    Index place = 0, start = 0;
    for (Index c = 0; c < at.columns; ++c) {
      at.vectors[c] = {at.levels[c], at.widths[c], place, start};
      place += at.levels[c] * at.widths[c];
      start += at.widths[c];
    }
    return 4 * double(at.stride);
  }

  // The vectors of a row's whole numbers side by side, and its plain numbers behind them.
  template <class T>
  static void forward(const Layer& at, const Stage<T>& on) {
    const Index numbers = at.inputs - at.columns;
    for (Index r = 0; r < on.rows; ++r) {
      const T* const from = on.inputs[r];
      T* const to = on.outputs + r * at.stride;
      for (Index c = 0; c < at.columns; ++c) {
        const EmbeddingColumn& column = at.vectors[c];
        copy_row(on.parameters + column.place + Index(from[c]) * column.width, column.width, to + column.start);
      }
      copy_row(from + at.columns, numbers, to + at.outputs - numbers);
    }
  }

  // It is the first layer: nobody asks for the errors of its inputs.
  template <class T>
  static bool backward(const Layer&, const Stage<T>&, const T*, RowList<T>, const Below<T>&, T*) {
    return false;
  }

  // A row's gradient by the vector that it reads in a column.
  template <class T>
  static void learn_row(const EmbeddingColumn& column, Index level, const T* errors, T* gradient) {
    __builtin_memset(gradient, 0, column.levels * column.width * sizeof(T));
    copy_row(errors + column.start, column.width, gradient + level * column.width);
  }

  template <class T>
  static void learn(const Layer&, const Stage<T>&, RowList<T>, const Block&, bool, Matrix<T>) {}

  template <class T>
  static void learn_row(const Layer&, const T*, const T*, const T*, T*) {}
};

// Rows of numbers by a key, in the order in which the keys first came.
template <class T>
class Keyed {
 public:
  // Forgets all. Keys are below `keys`, the same at each call, and rows so long from now on.
  void clear(Index keys, Index length) {
    if (!places_) places_ = Array<std::uint32_t>{keys};
    for (Index i = 0; i < count_; ++i) places_[keys_[i]] = 0;
    count_ = 0;
    length_ = length;
  }

  Index count() const { return count_; }
  Index key(Index i) const { return Index(keys_[i]); }
  T* row(Index i) const { return rows_.data() + i * length_; }

  // The row of a key; where it was not there, it is all zeros now, and `added` is true.
  T* at(Index key, bool& added) {
    added = places_[key] == 0;
    if (added) {
      if (count_ == room_) grow();
      keys_[count_] = std::uint32_t(key);
      places_[key] = std::uint32_t(++count_);
      __builtin_memset(row(count_ - 1), 0, length_ * sizeof(T));
    }
    return row(Index(places_[key]) - 1);
  }

 private:
  void grow() {
    const Index room = larger(64, 2 * room_);
    Array<T> rows{room * length_};
    Array<std::uint32_t> keys{room};
    if (count_ > 0) {
      __builtin_memcpy(rows.data(), rows_.data(), count_ * length_ * sizeof(T));
      __builtin_memcpy(keys.data(), keys_.data(), count_ * sizeof(std::uint32_t));
    }
    rows_ = static_cast<Array<T>&&>(rows);
    keys_ = static_cast<Array<std::uint32_t>&&>(keys);
    room_ = room;
  }

  Array<std::uint32_t> places_;  // of each key, 0 where it is not there, else one more than its row
  Array<std::uint32_t> keys_;    // of the rows
  Array<T> rows_;
  Index count_ = 0, room_ = 0, length_ = 0;
};

// The vectors of one column while they are trained.
template <class T>
class LearnedVectors {
 public:
  void make(const EmbeddingColumn& column, int number, T* vectors, int moments, Index parts) {
    column_ = column, number_ = number, vectors_ = vectors, moments_used_ = moments;
    stride_ = round_up(column.width, width<T>);
    for (int m = 0; m < moments; ++m) moments_[m] = Array<T>{size()};
    scratch_ = Array<T>{(1 + most_moments) * stride_};
    parts_ = List<Keyed<T>>{parts};
  }

  const EmbeddingColumn& column() const { return column_; }
  Index size() const { return column_.levels * column_.width; }
  const Array<T>& moment(int m) const { return moments_[m]; }

  // The gradient

  void clear() { sums_.clear(column_.levels, stride_); }
  void clear(Index part) { parts_[part].clear(column_.levels, stride_); }

  // Adds the errors of some rows up that count, as factors(r) says: of a batch that is held, or of a tile of a part.
  // levels(r) is the level that a row has in this column.
  template <class Levels, class Factors>
  void add(const Levels& levels, RowList<T> errors, Index rows, const Factors& factors) {
    add(levels, errors, rows, factors, sums_);
  }
  template <class Levels, class Factors>
  void add(const Levels& levels, RowList<T> errors, Index rows, const Factors& factors, Index part) {
    add(levels, errors, rows, factors, parts_[part]);
  }

  void add_parts(Index parts) {
    clear();
    bool added;
    for (Index part = 0; part < parts; ++part)
      for (Index i = 0; i < parts_[part].count(); ++i)
        plus(parts_[part].row(i), stride_, sums_.at(parts_[part].key(i), added));
  }

  // Takes a gradient of all vectors; those that have none stay where they are.
  void take(const T* gradient) {
    clear();
    bool added;
    for (Index level = 0; level < column_.levels; ++level, gradient += column_.width)
      if (any(gradient, column_.width)) copy_row(gradient, column_.width, sums_.at(level, added));
  }

  void write_gradient(T* into) const {
    __builtin_memset(into, 0, size() * sizeof(T));
    for (Index i = 0; i < sums_.count(); ++i) copy_row(sums_.row(i), column_.width, into + sums_.key(i) * column_.width);
  }

  // The numbers that the gradient has, one after another, padding among them.
  const T* gradient() const { return sums_.row(0); }
  Index gradient_size() const { return sums_.count() * stride_; }

  // The move

  void begin_call() { start_.clear(column_.levels, kept_size()); }

  template <class Step>
  void move(const Step& step, T scale, bool keep_start, bool keep_before) {
    if (keep_before) before_.clear(column_.levels, kept_size());
    for (Index i = 0; i < sums_.count(); ++i) {
      const Index level = sums_.key(i);
      if (keep_start) keep(start_, level);
      if (keep_before) keep(before_, level);
      Vectors<T> here{scratch_.data(), {scratch_.data() + stride_, scratch_.data() + 2 * stride_}};
      copy_row(vectors_ + level * column_.width, column_.width, here.parameters);
      for (int m = 0; m < moments_used_; ++m) copy_row(moment_of(m, level), column_.width, here.moments[m]);
      update(step, here, {}, 0, stride_, sums_.row(i), scale);
      copy_row(here.parameters, column_.width, vectors_ + level * column_.width);
      for (int m = 0; m < moments_used_; ++m) copy_row(here.moments[m], column_.width, moment_of(m, level));
    }
  }

  // Back to where the call began, or to before the last step.
  void restart() { restore(start_); }
  void undo() {
    restore(before_);
    before_.clear(column_.levels, kept_size());
  }

  void write_before(T* into) const {
    __builtin_memcpy(into, vectors_, size() * sizeof(T));
    for (Index i = 0; i < before_.count(); ++i)
      copy_row(before_.row(i), column_.width, into + before_.key(i) * column_.width);
  }

  // Goes on where another training was.
  void write(const T* const* moments, const T* before) {
    for (int m = 0; m < moments_used_; ++m) __builtin_memcpy(moments_[m].data(), moments[m], size() * sizeof(T));
    before_.clear(column_.levels, kept_size());
    bool added;
    for (Index level = 0; level < column_.levels; ++level) {
      const T* const was = before + level * column_.width;
      if (!same_row(was, column_.width, vectors_ + level * column_.width))
        copy_row(was, column_.width, before_.at(level, added));
    }
  }

  int number() const { return number_; }

 private:
  Index kept_size() const { return (1 + moments_used_) * column_.width; }
  T* moment_of(int m, Index level) const { return moments_[m].data() + level * column_.width; }

  static bool any(const T* numbers, Index count) {
    for (Index i = 0; i < count; ++i)
      if (numbers[i] != 0) return true;
    return false;
  }
  static void plus(const T* from, Index count, T* to) {
    for (Index i = 0; i < count; ++i) to[i] += from[i];
  }

  template <class Levels, class Factors>
  void add(const Levels& levels, RowList<T> errors, Index rows, const Factors& factors, Keyed<T>& to) const {
    bool added;
    for (Index r = 0; r < rows; ++r)
      if (factors(r) != 0) plus(errors[r] + column_.start, column_.width, to.at(levels(r), added));
  }

  void keep(Keyed<T>& log, Index level) const {
    bool added;
    T* to = log.at(level, added);
    if (!added) return;
    copy_row(vectors_ + level * column_.width, column_.width, to);
    for (int m = 0; m < moments_used_; ++m) copy_row(moment_of(m, level), column_.width, to += column_.width);
  }
  void restore(const Keyed<T>& log) {
    for (Index i = 0; i < log.count(); ++i) {
      const T* from = log.row(i);
      copy_row(from, column_.width, vectors_ + log.key(i) * column_.width);
      for (int m = 0; m < moments_used_; ++m) copy_row(from += column_.width, column_.width, moment_of(m, log.key(i)));
    }
  }

  EmbeddingColumn column_{};
  int number_ = 0, moments_used_ = 0;
  Index stride_ = 0;
  T* vectors_ = nullptr;  // where Python has them
  Array<T> moments_[most_moments], scratch_;
  Keyed<T> sums_, start_, before_;  // the gradient; vectors as they were when the call began, and before the last step
  List<Keyed<T>> parts_;            // the gradients of the parts of a batch
};

}  // namespace nineline::NINELINE_LEVEL
