// Memory: arrays of numbers, and lists of objects.
#pragma once

#include <new>

#include "simd.hpp"

namespace nineline::NINELINE_LEVEL {

using Index = std::ptrdiff_t;

// Numbers that begin on a cache line, are zeros at first, and may be read one vector past their end.
template <class T>
class Array {
 public:
  Array() = default;
  explicit Array(Index size) {
    if (size < 0 || size > PTRDIFF_MAX / Index(sizeof(T)) - 128) throw std::bad_alloc{};
    const std::size_t bytes = size * sizeof(T) + vector_bytes;
    data_ = static_cast<T*>(::operator new(bytes, std::align_val_t{64}));
    __builtin_memset(static_cast<void*>(data_), 0, bytes);
  }
  Array(Array&& other) noexcept : data_{other.data_} { other.data_ = nullptr; }
  Array& operator=(Array&& other) noexcept {
    T* mine = data_;
    data_ = other.data_;
    other.data_ = mine;
    return *this;
  }
  ~Array() { ::operator delete(data_, std::align_val_t{64}); }

  T* data() const { return data_; }
  T& operator[](Index i) const { return data_[i]; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  T* data_ = nullptr;
};

// Objects that have destructors, each made from the same arguments.
template <class Object>
class List {
 public:
  List() = default;
  template <class... Arguments>
  explicit List(Index size, const Arguments&... arguments) : List{} {
    data_ = static_cast<Object*>(::operator new(std::size_t(size) * sizeof(Object), std::align_val_t{64}));
    for (; size_ < size; ++size_) new (&data_[size_]) Object{arguments...};
  }
  List(List&& other) noexcept : List{} { swap(other); }
  List& operator=(List&& other) noexcept {
    swap(other);
    return *this;
  }
  ~List() {
    while (size_ > 0) data_[--size_].~Object();
    ::operator delete(data_, std::align_val_t{64});
  }

  Index size() const { return size_; }
  Object& operator[](Index i) const { return data_[i]; }

 private:
  void swap(List& other) {
    Object* const data = data_;
    const Index size = size_;
    data_ = other.data_, size_ = other.size_;
    other.data_ = data, other.size_ = size;
  }
  Object* data_ = nullptr;
  Index size_ = 0;
};

// Rows of a table, wherever they lie.
template <class T>
using RowList = const T* const*;

inline Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

inline Index smaller(Index a, Index b) { return a < b ? a : b; }
inline Index larger(Index a, Index b) { return a > b ? a : b; }

}  // namespace nineline::NINELINE_LEVEL
