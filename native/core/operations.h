// The system calls of the core, in one replaceable table, so that a test can make any of them fail,
// fall short or be counted.
#ifndef HOLDFAST_CORE_OPERATIONS_H_
#define HOLDFAST_CORE_OPERATIONS_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace holdfast {

class Ring;

// One transfer between memory and a place of a file, as a single system call or entry of a ring.
struct TransferCall {
  bool write = false;
  int fd = -1;
  uint8_t* memory = nullptr;
  size_t bytes = 0;
  uint64_t offset = 0;
};

// What statx says of a file. Alignments are 0 where direct I/O is not possible.
struct FileFacts {
  bool regular = false;
  uint64_t bytes = 0;
  bool alignment_known = false;  // the kernel reported STATX_DIOALIGN
  uint32_t memory_alignment = 0;
  uint32_t offset_alignment = 0;
};

// Every call returns a negative errno on failure, and otherwise 0 or what the call gives. Calls may
// come from several threads at once.
class Operations {
 public:
  virtual ~Operations() = default;

  virtual int Open(const char* path, int flags, unsigned mode);
  virtual int SetFlags(int fd, int flags);
  virtual int Facts(int fd, FileFacts* facts);
  virtual int64_t WriteAt(int fd, const void* data, size_t bytes, uint64_t offset);
  virtual int64_t ReadAt(int fd, void* data, size_t bytes, uint64_t offset);
  // A ring for at most `entries` transfers in flight. A kernel, a sandbox or a limit may refuse.
  virtual int OpenRing(unsigned entries, std::unique_ptr<Ring>* result);
  // io_uring's three system calls, of which rings are made.
  virtual int RingSetup(unsigned entries, void* parameters);
  virtual int RingEnter(int ring, unsigned submitting, unsigned wanted);
  virtual int RingRegister(int ring, unsigned what, void* argument, unsigned count);
  // Maps bytes of a file, private to this process; `offset` is a multiple of the page size.
  virtual int Map(int fd, size_t bytes, uint64_t offset, void** address);
  virtual void Unmap(void* address, size_t bytes);
  // Makes mapped pages readable without a fault; -ENOSYS where the kernel has no call for it.
  virtual int Populate(void* address, size_t bytes);
  virtual int Preallocate(int fd, uint64_t bytes);
  virtual int Truncate(int fd, uint64_t bytes);
  // Starts writing cached bytes to the device without waiting for them.
  virtual int StartWriteback(int fd, uint64_t offset, uint64_t bytes);
  virtual int Sync(int fd);
  virtual int Close(int fd);
  virtual int Unlink(const char* path);
  virtual void SleepMilliseconds(unsigned milliseconds);

  // The real ones. Lives for ever.
  static Operations& System();
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_OPERATIONS_H_
