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

  // Whether dropout passes on a unit of a row: where its draw is not below the rate.
  bool is_kept(double rate, Index row, Index unit) const {
    const std::uint64_t place = (std::uint64_t(row + 1) << 32) + std::uint64_t(unit);
    const std::uint32_t bits = std::uint32_t(mix(key + place * golden) >> 40);
    return float(std::int32_t(bits)) * 0x1p-24F >= float(rate);
  }

  // One row's mask: 0 where a unit is not kept, else 1 / (1 - rate).
  template <class T>
  void mask(double rate, Index row, Index units, T* mask) const {
    const T kept = T(1 / (1 - rate));
    for (Index unit = 0; unit < units; ++unit) mask[unit] = is_kept(rate, row, unit) ? kept : T(0);
  }
};

}  // namespace nineline::NINELINE_LEVEL
