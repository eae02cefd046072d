// The random draws inside a step: pure functions of (seed, step, layer, row, unit), the same in any order.
//
// Twin: src/nineline/draws.py.
#pragma once

#include "arrays.hpp"

namespace nineline::NINELINE_LEVEL {

inline constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;

inline std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The place in the stream of draws that one layer has in one step.
struct Draw {
  std::uint64_t key;
  Draw(std::uint64_t seed, std::uint64_t step, std::uint64_t layer)
      : key{mix(mix(mix(seed + golden) + step) + layer)} {}

  // One row's mask for dropout: 0 where the draw is below the rate, else 1 / (1 - rate).
  template <class T>
  void mask(double rate, Index row, Index units, T* mask) const {
    const std::uint64_t begin = std::uint64_t(row + 1) << 32;
    const T kept = T(1 / (1 - rate));
    const float least = float(rate);
    for (Index unit = 0; unit < units; ++unit) {
      const std::uint32_t bits = std::uint32_t(mix(key + (begin + std::uint64_t(unit)) * golden) >> 40);
      mask[unit] = float(std::int32_t(bits)) * 0x1p-24F >= least ? kept : T(0);
    }
  }
};

}  // namespace nineline::NINELINE_LEVEL
