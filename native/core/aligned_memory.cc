#include "core/aligned_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace holdfast {

namespace {

size_t RoundUp(size_t value, size_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

AlignedMemory::~AlignedMemory() {
  Release();
}

AlignedMemory::AlignedMemory(AlignedMemory&& other) noexcept {
  *this = std::move(other);
}

AlignedMemory& AlignedMemory::operator=(AlignedMemory&& other) noexcept {
  if (this != &other) {
    Release();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    mapping_ = std::exchange(other.mapping_, nullptr);
    mapping_bytes_ = std::exchange(other.mapping_bytes_, 0);
    count_ = other.count_;
  }
  return *this;
}

Status AlignedMemory::Allocate(size_t bytes, AlignedMemory* result, Count count) {
  const size_t page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t size = RoundUp(bytes == 0 ? 1 : bytes, page_bytes);
  const bool huge = size >= kHugePageBytes;
  const size_t mapping_bytes = huge ? size + kHugePageBytes : size;
  void* mapping =
      mmap(nullptr, mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return Status::System(errno, "mmap", "");
  uintptr_t address = reinterpret_cast<uintptr_t>(mapping);
  if (huge) address = RoundUp(address, kHugePageBytes);

  AlignedMemory memory;
  memory.mapping_ = mapping;
  memory.mapping_bytes_ = mapping_bytes;
  memory.data_ = reinterpret_cast<uint8_t*>(address);
  memory.size_ = size;
  memory.count_ = count;
  counters().*count += static_cast<int64_t>(size);
  // Advice only: a kernel that refuses still gives correct memory. DONTFORK keeps a child process,
  // forked while the device reads these pages, from making the parent write to a copy of them.
  if (huge) (void)madvise(memory.data_, size, MADV_HUGEPAGE);
  (void)madvise(mapping, mapping_bytes, MADV_DONTFORK);
  *result = std::move(memory);
  return Status::Ok();
}

void AlignedMemory::Release() {
  if (mapping_ == nullptr) return;
  counters().*count_ -= static_cast<int64_t>(size_);
  munmap(mapping_, mapping_bytes_);
  mapping_ = nullptr;
  data_ = nullptr;
  size_ = 0;
}

void AlignedMemory::CountAs(Count count) {
  counters().*count_ -= static_cast<int64_t>(size_);
  counters().*count += static_cast<int64_t>(size_);
  count_ = count;
}

void AlignedMemory::Leak() {
  mapping_ = nullptr;
  data_ = nullptr;
  size_ = 0;
}

Status FaultIn(uint8_t* data, size_t bytes) {
  while (madvise(data, bytes, MADV_POPULATE_WRITE) != 0) {
    if (errno == EINVAL) {
      FaultInByTouching(data, bytes);
      break;
    }
    if (errno != EINTR) return Status::System(errno, "madvise", "");
  }
  return Status::Ok();
}

void FaultInByTouching(uint8_t* data, size_t bytes) {
  const size_t page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  // A write that changes nothing, in one step: another thread may be copying into the page.
  for (size_t at = 0; at < bytes; at += page_bytes) {
    __atomic_fetch_or(data + at, uint8_t{0}, __ATOMIC_RELAXED);
  }
}

}  // namespace holdfast
