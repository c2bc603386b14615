#include "core/staging_pool.h"

#include <algorithm>
#include <new>
#include <utility>

namespace holdfast {

Status StagingMemory::Acquire(size_t bytes) {
  Release();
  bytes_ = bytes;
  if (StagingPool::Global().Take(bytes, &memory_)) return Status::Ok();
  return AlignedMemory::Allocate(bytes, &memory_);
}

void StagingMemory::Release() {
  if (memory_.data() != nullptr) StagingPool::Global().Put(std::move(memory_));
}

bool StagingPool::Take(size_t bytes, AlignedMemory* result) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto best = spares_.end();
  for (auto spare = spares_.begin(); spare != spares_.end(); ++spare) {
    // A small file must not take the memory that the next large one is going to want.
    const size_t size = spare->memory.size();
    if (size < bytes || size / 2 > bytes) continue;
    if (best == spares_.end() || size < best->memory.size()) best = spare;
  }
  if (best == spares_.end()) return false;
  best->memory.CountAs(&Counters::staging_bytes);
  *result = std::move(best->memory);
  spares_.erase(best);
  return true;
}

void StagingPool::Put(AlignedMemory memory, Clock::time_point now) {
  if (memory.size() > kSpareBytesMax) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  TrimLocked(now, kSpareBytesMax - memory.size(), kSpareCountMax - 1);
  try {
    spares_.reserve(kSpareCountMax);
  } catch (const std::bad_alloc&) {
    return;  // then it is not kept
  }
  memory.CountAs(&Counters::spare_staging_bytes);
  spares_.push_back({std::move(memory), now});
}

void StagingPool::Trim(Clock::time_point now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  TrimLocked(now, kSpareBytesMax, kSpareCountMax);
}

void StagingPool::Clear() {
  const std::lock_guard<std::mutex> lock(mutex_);
  spares_.clear();
}

// Lets the oldest go: those that have lain idle, and more until no more than this is left.
void StagingPool::TrimLocked(Clock::time_point now, size_t bytes_max, size_t count_max) {
  size_t bytes = 0;
  for (const Spare& spare : spares_) bytes += spare.memory.size();
  auto kept = spares_.begin();
  for (; kept != spares_.end(); ++kept) {
    const size_t left = static_cast<size_t>(spares_.end() - kept);
    if (now - kept->since < kIdleMax && bytes <= bytes_max && left <= count_max) break;
    bytes -= kept->memory.size();
  }
  spares_.erase(spares_.begin(), kept);
}

StagingPool& StagingPool::Global() {
  static StagingPool* const instance = new StagingPool;
  return *instance;
}

}  // namespace holdfast
