// Errors of every output carried back at once: what derivatives of outputs, and not of a loss, are made of.
//
// Twins: jacobian in src/nineline/engines/derivatives.py, ReferenceCurvature in src/nineline/engines/curvature.py.
#pragma once

#include "batches.hpp"
#include "placed.hpp"

namespace nineline::NINELINE_LEVEL {

// Rows on their way forward, and on their way back once for each of their outputs.
template <class T>
class EachOutput {
 public:
  // For tiles of `most` rows at most.
  EachOutput(const Layout<T>& layout, Index most)
      : layout_{layout}, room_{larger(1, smaller(layout.tile_rows() / layout.outputs(), most))}, rows{layout, room_, Purpose::training},
        pairs_{layout, alone() ? 0 : room_ * layout.outputs(), Purpose::training}, scales_{2 * room_ * layout.outputs()} {}

  Index room() const { return room_; }
  bool alone() const { return layout_.outputs() == 1; }
  // A row stands here once for each output; where there is one only, these are the rows themselves.
  Workspace<T>& pairs() { return alone() ? rows : pairs_; }

  // Room for two numbers of each output of each row.
  T* scales() { return scales_.data(); }
  T* residuals() { return scales_.data() + room_ * layout_.outputs(); }

  // Carries an error of scale(r, o) at each output of rows that went forward back to a layer. Where `joined`, it is an
  // error beyond the activation: of the output's own weighted sum, and behind a softmax of how far it is from the mean.
  template <class Scale>
  void backward(const Placed<T>& placed, Index count, Index lowest, bool joined, const Scale& scale) {
    if (!alone()) pairs_.copy_for_each_output(rows, count);
    pairs().begin_with_each_output(count, joined, scale);
    pairs().backward(placed.parameters(), placed.turned(), {0, count * layout_.outputs(), 0}, lowest);
  }

 private:
  const Layout<T>& layout_;
  Index room_;

 public:
  Workspace<T> rows;

 private:
  Workspace<T> pairs_;
  Array<T> scales_;
};

}  // namespace nineline::NINELINE_LEVEL
