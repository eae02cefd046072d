// Every kind of layer: a class with `forward` beside `backward`, and `learn`, the gradient of its weights.
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

inline bool runs(Kind kind) { return !is<Dropout>(kind); }

}  // namespace nineline::NINELINE_LEVEL
