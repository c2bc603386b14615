// Page-aligned anonymous memory for direct I/O.
#ifndef HOLDFAST_CORE_ALIGNED_MEMORY_H_
#define HOLDFAST_CORE_ALIGNED_MEMORY_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "core/counters.h"
#include "core/status.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif

namespace holdfast {

inline constexpr size_t kHugePageBytes = size_t{2} << 20;

// Owns its memory; movable, not copyable. Regions of 2 MiB and more are aligned to 2 MiB and ask
// for huge pages: faulting them in costs about half of what 4 KiB pages cost.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  ~AlignedMemory();
  AlignedMemory(AlignedMemory&& other) noexcept;
  AlignedMemory& operator=(AlignedMemory&& other) noexcept;
  AlignedMemory(const AlignedMemory&) = delete;
  AlignedMemory& operator=(const AlignedMemory&) = delete;

  using Count = std::atomic<int64_t> Counters::*;

  // `bytes` is rounded up to whole pages. The memory reads as zeros. `count` is the live count that
  // it belongs to.
  static Status Allocate(size_t bytes, AlignedMemory* result,
                         Count count = &Counters::staging_bytes);

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  // Moves it from the live count that it belongs to, to another.
  void CountAs(Count count);
  // Never gives the memory back, nor the count.
  void Leak();

 private:
  void Release();

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  Count count_ = nullptr;
};

// Makes the kernel give the pages of memory that is there to be written, now instead of at the
// first touch. What it holds stays as it is, whatever other threads do with it meanwhile. `data` is
// aligned to a page.
Status FaultIn(uint8_t* data, size_t bytes);
// The same for kernels that have no call for it.
void FaultInByTouching(uint8_t* data, size_t bytes);

}  // namespace holdfast

#endif  // HOLDFAST_CORE_ALIGNED_MEMORY_H_
