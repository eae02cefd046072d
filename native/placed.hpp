// Parameters as they are read: where Python has them, as far as our layout is Python's, and the others packed.
//
// Twin: Network.views in src/nineline/network.py.
#pragma once

#include "layout.hpp"

namespace nineline::NINELINE_LEVEL {

template <class T>
class Placed {
 public:
  // `backward` says that errors are to be carried back, for which some weights are turned over.
  Placed(const Layout<T>& layout, bool backward)
      : layout_{layout}, places_{layout.count()}, turned_places_{layout.count()} {
    if (!backward) return;
    const auto each = [&](const auto& work) {
      for (Index l = 0; l < layout.count(); ++l)
        if (const Layer& at = layout.layer(l); is<Dense>(at.kind) && !at.turned && !at.input_is_packed) work(l, at);
    };
    Index size = 0, place = 0;
    each([&](Index, const Layer& at) { size += at.outputs * at.turned_stride; });
    turned_ = Array<T>{size};
    each([&](Index l, const Layer& at) {
      turned_places_[l] = turned_.data() + place;
      place += at.outputs * at.turned_stride;
    });
  }

  void take(const T* flat) {
    for (Index l = 0; l < layout_.count(); ++l) {
      const Layer& at = layout_.layer(l);
      if (at.blocks() == 0) continue;
      if (at.vectors != nullptr || at.as_in_python()) {
        places_[l] = flat + at.flat;
      } else {
        if (!packed_) packed_ = Array<T>{layout_.size()};
        pack(at, flat + at.flat, packed_.data() + at.place);
        places_[l] = packed_.data() + at.place;
      }
      if (turned_places_[l] != nullptr)
        turn_over<T>({places_[l], at.stride}, at.asked_inputs, at.outputs,
                     {const_cast<T*>(turned_places_[l]), at.turned_stride});
    }
  }

  const T* operator[](Index l) const { return places_[l]; }
  const T* const* parameters() const { return places_.data(); }
  const T* const* turned() const { return turned_places_.data(); }

 private:
  const Layout<T>& layout_;
  Array<const T*> places_, turned_places_;  // of each layer's parameters, and of their turned copies
  Array<T> packed_, turned_;
};

}  // namespace nineline::NINELINE_LEVEL
