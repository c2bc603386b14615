// What writers and readers share: sizes, results, and who may stop them.
#ifndef HOLDFAST_CORE_TRANSFER_H_
#define HOLDFAST_CORE_TRANSFER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/abort.h"
#include "core/engine.h"
#include "core/status.h"

namespace holdfast {

// Checksums and figures of one pass over a file. All CRCs are CRC32C.
struct TransferResult {
  uint64_t bytes = 0;
  uint32_t crc32c = 0;
  std::vector<uint32_t> chunks;
  std::vector<uint32_t> spans;
  bool direct = false;
  std::string direct_reason;
  EngineKind engine = EngineKind::kThreads;  // the one that did it
  double transfer_seconds = 0;
  double sync_seconds = 0;
};

// Size and number of operations after defaults, alignment, the length of the transfer and the
// staging budget have been taken into account.
struct TransferShape {
  size_t operation_bytes = kDefaultOperationBytes;
  unsigned queue_depth = kDefaultQueueDepth;

  // `operation_bytes` and `queue_depth` as the caller gave them, 0 for the default. `extra_slots`
  // are staging slots beyond one per operation in flight.
  static Status Make(size_t operation_bytes, unsigned queue_depth, uint64_t transfer_bytes,
                     uint32_t alignment, unsigned extra_slots, TransferShape* result);
};

// The flag of the caller and the one of the object itself.
class StopFlags {
 public:
  explicit StopFlags(std::shared_ptr<AbortFlag> caller) : caller_(std::move(caller)) {}
  void Abort() { own_.store(true, std::memory_order_release); }
  bool aborted() const {
    return own_.load(std::memory_order_acquire) ||
           (caller_ != nullptr && caller_->load(std::memory_order_acquire));
  }

 private:
  AbortFlag own_{false};
  const std::shared_ptr<AbortFlag> caller_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_TRANSFER_H_
