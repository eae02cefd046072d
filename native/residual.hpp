// The end of a residual connection: its layers lie before it in the network, and it adds what went into them.
//
// Twin: Residual in src/nineline/layers/residual.py.
#pragma once

#include "layers.hpp"

namespace nineline::NINELINE_LEVEL {

struct Shortcut {
  static constexpr const char* name = "shortcut";
  static constexpr bool runs = true;

  static Index parameters(const LayerSpec&) { return 0; }

  template <class T>
  static double lay_out(Layer&, const Before&) {
    return 0;
  }

  // outputs = the inputs of the first of its layers + the outputs of the last.
  template <class T>
  static void forward(const Layer& at, const Stage<T>& on) {
    for (Index r = 0; r < on.rows; ++r) {
      T* const row = on.outputs + r * at.stride;
      Stage<T>::copy_of(on.other, on.sparse_other, r, at.outputs, row);
      if (on.inputs == nullptr) {  // all its layers are dropout, which is not there
        for (Index e = 0; e < on.sparse[r].count; ++e) row[on.sparse[r].columns[e]] += on.sparse[r].values[e];
      } else {
        const T* const from = on.inputs[r];
        for (Index i = 0; i < at.outputs; ++i) row[i] += from[i];
      }
    }
  }

  // The errors go on as they are, down its layers; a workspace gives them to what went into them, too.
  template <class T>
  static bool backward(const Layer& at, const Stage<T>& on, const T*, RowList<T> errors, const Below<T>&, T* to) {
    for (Index r = 0; r < on.rows; ++r) copy_row(errors[r], at.outputs, to + r * at.input_stride);
    return false;
  }

  template <class T>
  static void learn(const Layer&, const Stage<T>&, RowList<T>, const Block&, bool, Matrix<T>) {}

  template <class T>
  static void learn_row(const Layer&, const T*, const T*, const T*, T*) {}

  // And there they are added to those that came down the layers.
  template <class T>
  static void add_errors(RowList<T> errors, Index rows, Index count, Index stride, T* to) {
    for (Index r = 0; r < rows; ++r)
      for (Index i = 0; i < count; ++i) to[r * stride + i] += errors[r][i];
  }
};

}  // namespace nineline::NINELINE_LEVEL
