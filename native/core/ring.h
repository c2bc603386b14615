// An io_uring, by raw system calls: transfers are queued, submitted together, and come back as
// completions in any order. Used by one thread at a time; the first that submits must go on.
#ifndef HOLDFAST_CORE_RING_H_
#define HOLDFAST_CORE_RING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/operations.h"

namespace holdfast {

class Ring {
 public:
  struct Completion {
    uint64_t tag = 0;
    int64_t result = 0;  // bytes, or a negative errno
  };

  virtual ~Ring() = default;
  // Lets the kernel keep `data` mapped, which saves it work per call. False where a limit (memlock)
  // or the kernel refuses: everything works without.
  virtual bool RegisterMemory(uint8_t* data, size_t bytes) = 0;
  // Never more at a time than the ring has entries.
  virtual void Queue(const TransferCall& call, uint64_t tag) = 0;
  // Submits what is queued and waits until `wanted` completions are there to be popped; fewer may
  // be where the kernel is short of something. 0 or a negative errno; after an error what was
  // queued may or may not have been submitted, and what is in flight goes on.
  virtual int Submit(unsigned wanted) = 0;
  virtual bool Pop(Completion* completion) = 0;
};

// Opens the kernel's. `entries`: transfers in flight at most. A negative errno where the kernel, a
// sandbox or a limit refuses. `operations` must outlive the ring.
int OpenSystemRing(Operations& operations, unsigned entries, std::unique_ptr<Ring>* result);

// Why a ring could not be had, for people.
std::string DescribeRingError(int error_number);

}  // namespace holdfast

#endif  // HOLDFAST_CORE_RING_H_
