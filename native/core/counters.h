// Live counts of what the library holds, for leak tests. Every count returns to what it was once
// the work that raised it has ended, but for spare memory, which later work uses, and for what was
// refused.
#ifndef HOLDFAST_CORE_COUNTERS_H_
#define HOLDFAST_CORE_COUNTERS_H_

#include <atomic>
#include <cstdint>

namespace holdfast {

struct Counters {
  std::atomic<int64_t> staging_bytes{0};
  std::atomic<int64_t> spare_staging_bytes{0};
  std::atomic<int64_t> arena_bytes{0};
  std::atomic<int64_t> mapped_bytes{0};
  std::atomic<int64_t> threads{0};
  std::atomic<int64_t> ring_refusals{0};  // transfers that asked for io_uring and got threads
};

// Never destroyed: native threads may still run while the process exits.
inline Counters& counters() {
  static Counters* const instance = new Counters;
  return *instance;
}

}  // namespace holdfast

#endif  // HOLDFAST_CORE_COUNTERS_H_
