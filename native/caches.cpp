#include "caches.hpp"

#include <unistd.h>

namespace nineline {

std::ptrdiff_t second_cache() {
  constexpr long usual = 1 << 20;
#if defined(_SC_LEVEL2_CACHE_SIZE)
  static const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
#else
  constexpr long size = 0;
#endif
  return size > 0 ? size : usual;
}

}  // namespace nineline
