// What moves bytes between staging memory and files, with several operations in flight.
//
// A Job says what is to be done, an Engine when: it claims operations, lets the job fill (or take
// over) the staging memory, and makes the system call in between. There are two: threads with
// positional calls, and threads with a ring (io_uring) each.
#ifndef HOLDFAST_CORE_ENGINE_H_
#define HOLDFAST_CORE_ENGINE_H_

#include <cstddef>
#include <cstdint>

#include "core/file.h"
#include "core/status.h"

namespace holdfast {

struct Operation {
  enum class Kind { kWrite, kRead };

  Kind kind = Kind::kWrite;
  File* file = nullptr;
  uint8_t* memory = nullptr;  // staging memory, aligned
  size_t bytes = 0;   // to transfer; 0 after Before(): nothing to transfer, After() is left out
  size_t needed = 0;  // reads: fewer than this many bytes mean the end of the file
  uint64_t offset = 0;
  size_t transferred = 0;  // reads: valid bytes in `memory`
  void* slot = nullptr;    // the job's own
};

// Called by several threads at once; only Before and After of one operation follow one another.
class Job {
 public:
  enum class Claim { kOperation, kWait, kDone };
  struct Memory {
    uint8_t* data = nullptr;
    size_t bytes = 0;
  };

  virtual ~Job() = default;
  // Where the memory of all operations lies. Asked before the first claim.
  virtual Memory Staging() = 0;
  // The operating system may use the staging memory for ever: it must never be let go.
  virtual void KeepStaging() = 0;
  // Never blocks. kWait: nothing to do until Engine::Wake. kDone: nothing to do any more.
  virtual Claim TakeOperation(Operation* operation) = 0;
  // Fills the staging memory of a write.
  virtual Status Before(Operation* operation) = 0;
  // Takes over what was transferred.
  virtual Status After(Operation* operation) = 0;
  // Before, the transfer or After of `operation` failed: it will not be continued. Later claims
  // should answer kDone.
  virtual void Failed(Operation* operation, const Status& status) = 0;
};

// Threads with positional calls, or threads with a ring each; kAuto is the one that measures
// better.
enum class EngineKind { kAuto, kThreads, kUring };

class Engine {
 public:
  virtual ~Engine() = default;
  virtual EngineKind kind() const = 0;
  // Begins to claim from `job`, which must outlive the engine's Join. After an error nothing was
  // claimed.
  virtual Status Start(Job* job, unsigned queue_depth) = 0;
  // New operations may be there.
  virtual void Wake() = 0;
  // Waits until the job answers kDone and nothing is in flight. May be called more than once.
  virtual void Join() = 0;
};

// Defaults, measured on NVMe-class disks: larger operations and more of them gain nothing.
inline constexpr size_t kDefaultOperationBytes = size_t{4} << 20;
inline constexpr unsigned kDefaultQueueDepth = 8;
inline constexpr size_t kOperationBytesMax = size_t{32} << 20;
// Staging memory of one writer or read, whatever is asked for.
inline constexpr size_t kStagingBytesMax = size_t{64} << 20;
// Copying and checksumming go in parts of this size, which stay in the cache between the two, and
// abort flags are looked at in between.
inline constexpr size_t kStepBytes = size_t{128} << 10;

}  // namespace holdfast

#endif  // HOLDFAST_CORE_ENGINE_H_
