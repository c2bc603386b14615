// Page-aligned anonymous memory for direct I/O.
#ifndef HOLDFAST_CORE_ALIGNED_MEMORY_H_
#define HOLDFAST_CORE_ALIGNED_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "core/status.h"

namespace holdfast {

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

  // `bytes` is rounded up to whole pages. The memory reads as zeros.
  static Status Allocate(size_t bytes, AlignedMemory* result);

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void Release();

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_ALIGNED_MEMORY_H_
