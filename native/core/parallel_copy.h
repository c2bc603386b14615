// Copies and checksums of many ranges of memory, by several threads while the caller waits.
#ifndef HOLDFAST_CORE_PARALLEL_COPY_H_
#define HOLDFAST_CORE_PARALLEL_COPY_H_

#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "core/status.h"

namespace holdfast {

// Memory of the caller's: readable for as long as a call here lasts.
struct MemoryRange {
  const uint8_t* data = nullptr;
  uint64_t bytes = 0;
};

struct CopyRange {
  const uint8_t* from = nullptr;
  uint8_t* to = nullptr;
  uint64_t bytes = 0;
};

// `numbers`: four per range: index into `buffers`, byte offset there, byte length, byte offset in
// the `bytes` bytes at `target`. Nothing is touched; an error says which range does not fit.
Status PlanCopy(const std::vector<MemoryRange>& buffers, const std::vector<uint64_t>& numbers,
                uint8_t* target, uint64_t bytes, std::vector<CopyRange>* result);

// `numbers`: three per range: index into `buffers`, byte offset there, byte length.
Status PlanRanges(const std::vector<MemoryRange>& buffers, const std::vector<uint64_t>& numbers,
                  std::vector<MemoryRange>* result);

// The targets must not overlap.
void CopyRanges(const std::vector<CopyRange>& ranges, unsigned threads = ParallelThreads());

// CRC32C of every range, 0 for an empty one.
std::vector<uint32_t> Crc32cOfRanges(const std::vector<MemoryRange>& ranges,
                                     unsigned threads = ParallelThreads());

}  // namespace holdfast

#endif  // HOLDFAST_CORE_PARALLEL_COPY_H_
