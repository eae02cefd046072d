// Dropout: in training some of its inputs become 0 and the others larger; when the network runs it is not there.
//
// Twin: Dropout in src/nineline/layers/dropout.py.
#pragma once

#include "draws.hpp"
#include "layers.hpp"

namespace nineline::NINELINE_LEVEL {

struct Dropout {
  static constexpr const char* name = "dropout";
  static constexpr bool runs = false;

  static Index parameters(const LayerSpec&) { return 0; }

  // When the network runs it is not there, so that what comes after it reads what came before.
  template <class T>
  static double lay_out(Layer& at, const Before& before) {
    if (!before.first) at.stride = before.layer.stride;
    at.padded = before.layer.padded;
    at.beside = at.stride;
    return 0;
  }

  // outputs = inputs * mask; the mask is kept beside them.
  template <class T>
  static void forward(const Layer& at, const Stage<T>& on) {
    const Draw draw{on.drawing->seed, on.drawing->step, at.draws};
    for (Index r = 0; r < on.rows; ++r) {
      draw.mask(at.rate, on.in_batch + r, at.inputs, on.beside + r * at.stride);
      on.copy_inputs(r, at.inputs, on.outputs + r * at.stride);
    }
    times(on.beside, on.outputs, on.rows * at.stride, on.outputs);
  }

  template <class T>
  static bool backward(const Layer& at, const Stage<T>& on, const T*, RowList<T> errors, const Below<T>&, T* to) {
    times(on.beside, errors[0], on.rows * at.stride, to);
    return false;
  }

  template <class T>
  static void learn(const Layer&, const Stage<T>&, RowList<T>, const Block&, bool, Matrix<T>) {}

  template <class T>
  static void learn_row(const Layer&, const T*, const T*, const T*, T*) {}

 private:
  template <class T>
  static void times(const T* mask, const T* from, Index count, T* to) {
    for (Index i = 0; i < count; i += width<T>) store(to + i, load(from + i) * load(mask + i));
  }
};

}  // namespace nineline::NINELINE_LEVEL
