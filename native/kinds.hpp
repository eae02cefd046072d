// Every kind of layer: a class of functions, with
//
//   name       what Python calls it
//   runs       whether it is there when the network runs, and not in training alone
//   parameters how many a layer has
//   lay_out    says how a layer lies, and about how many multiplications and additions it takes for a row
//   forward    fills the outputs of some rows
//   backward   carries the errors of the outputs back to those of the inputs; true where it has carried them through the
//              activation of the layer below, too
//   learn      the gradient of a block of its weights
//   learn_row  that of its weights from one row alone, as Python has them
//
// Twin: src/nineline/layers/__init__.py.
#pragma once

#include "dense.hpp"
#include "dropout.hpp"
#include "embedding.hpp"
#include "layer_norm.hpp"
#include "residual.hpp"

namespace nineline::NINELINE_LEVEL {

using Kinds = Types<Dense, Dropout, Embedding, LayerNorm, Shortcut>;

template <class Class>
inline bool is(Kind kind) {
  return kind == Kind(Kinds::place<Class>);
}

// Calls `work` with the class of a kind of layer.
template <class Work>
inline void with_kind(Kind kind, Work&& work) {
  Kinds::at(int(kind), static_cast<Work&&>(work));
}

inline bool runs(Kind kind) {
  bool answer = false;
  with_kind(kind, [&](auto layer) { answer = layer.runs; });
  return answer;
}

}  // namespace nineline::NINELINE_LEVEL
