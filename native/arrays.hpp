// An array of numbers that begins on a cache line, is zero at first, and may be read one vector past its end.
#pragma once

#include <new>

#include "simd.hpp"

namespace nineline::NINELINE_LEVEL {

using Index = std::ptrdiff_t;

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

// Rows of a table, wherever they lie.
template <class T>
using Rows = const T* const*;

inline Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

inline Index smaller(Index a, Index b) { return a < b ? a : b; }
inline Index larger(Index a, Index b) { return a > b ? a : b; }

}  // namespace nineline::NINELINE_LEVEL
