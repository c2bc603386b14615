// Staging memory, kept between transfers: to have the kernel fault memory in takes about as long as
// to write it to a fast disk.
#ifndef HOLDFAST_CORE_STAGING_POOL_H_
#define HOLDFAST_CORE_STAGING_POOL_H_

#include <chrono>
#include <cstddef>
#include <mutex>
#include <vector>

#include "core/aligned_memory.h"
#include "core/status.h"

namespace holdfast {

// Memory that one transfer works on. Goes back to the pool at the end: let it go only when nobody,
// the operating system included, uses it any more.
class StagingMemory {
 public:
  StagingMemory() = default;
  ~StagingMemory() { Release(); }
  StagingMemory(const StagingMemory&) = delete;
  StagingMemory& operator=(const StagingMemory&) = delete;

  // At least `bytes` bytes, which hold anything: what a file should hold must be written to them.
  Status Acquire(size_t bytes);
  void Release();
  // The operating system may use it for ever: nobody gets it again.
  void Leak() { memory_.Leak(); }

  uint8_t* data() const { return memory_.data(); }
  // What was asked for.
  size_t size() const { return bytes_; }

 private:
  AlignedMemory memory_;
  size_t bytes_ = 0;
};

// Thread-safe.
class StagingPool {
 public:
  using Clock = std::chrono::steady_clock;

  // What saving two files at a time with the defaults uses.
  static constexpr size_t kSpareBytesMax = size_t{72} << 20;
  static constexpr size_t kSpareCountMax = 8;
  static constexpr Clock::duration kIdleMax = std::chrono::seconds(30);

  // False if nothing spare fits.
  bool Take(size_t bytes, AlignedMemory* result);
  void Put(AlignedMemory memory, Clock::time_point now = Clock::now());
  // Lets go of what nobody has wanted for a while.
  void Trim(Clock::time_point now = Clock::now());
  void Clear();

  // Never destroyed: transfers may still end while the process exits.
  static StagingPool& Global();

 private:
  struct Spare {
    AlignedMemory memory;
    Clock::time_point since;
  };

  void TrimLocked(Clock::time_point now, size_t bytes_max, size_t count_max);

  std::mutex mutex_;
  std::vector<Spare> spares_;  // guarded by mutex_; the oldest first
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_STAGING_POOL_H_
