// The doors of the engine, one for each instruction set it was compiled for.
#pragma once

#include "model.hpp"

namespace nineline {

#define NINELINE_DOORS(level)                                                                                 \
  namespace level {                                                                                           \
  Model* make_model(bool single, const LayerPlan* layers, Index count, const LossPlan&, const RulePlan&);     \
  bool apply(const char* function, bool single, const void* from, void* to, Index count);                     \
  }
NINELINE_DOORS(baseline)
NINELINE_DOORS(avx2)
NINELINE_DOORS(avx512)
#undef NINELINE_DOORS

}  // namespace nineline
