// Lists of classes: of each kind of thing there is one, and numbers, names and switches are made from it.
#pragma once

#include <type_traits>

#include "simd.hpp"

namespace nineline::NINELINE_LEVEL {

template <class... Kinds>
struct Types {
  static constexpr const char* names[] = {Kinds::name..., nullptr};

  // The place of a kind in the list.
  template <class Kind>
  static constexpr int place = [] {
    int i = 0;
    (void)((std::is_same_v<Kind, Kinds> || (++i, false)) || ...);
    return i;
  }();

  // Calls `work` with the kind at a place.
  template <class Work>
  static void at(int place, Work&& work) {
    int i = 0;
    (void)((i++ == place && (work(Kinds{}), true)) || ...);
  }
};

}  // namespace nineline::NINELINE_LEVEL
