// How large the caches of this processor are, in bytes.
#pragma once

#include <cstddef>

namespace nineline {

// That of one core, behind the first; what most have where the system does not say.
std::ptrdiff_t second_cache();

}  // namespace nineline
