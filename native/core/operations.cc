#include "core/operations.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/stat.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/ring.h"

#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x00002000U
#endif

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

namespace holdfast {

namespace {

template <typename Result>
Result OrError(Result result) {
  return result < 0 ? static_cast<Result>(-errno) : result;
}

// The kernel's layout as of 6.1, spelled out here because older headers lack the last fields.
struct KernelStatx {
  uint32_t mask, blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode, spare0;
  uint64_t ino, size, blocks, attributes_mask;
  uint64_t times[8];
  uint32_t device_numbers[4];
  uint64_t mount_id;
  uint32_t memory_alignment, offset_alignment;
  uint64_t spare[12];
};
static_assert(sizeof(KernelStatx) == 256);

}  // namespace

int Operations::Open(const char* path, int flags, unsigned mode) {
  return OrError(open(path, flags, static_cast<mode_t>(mode)));
}

int Operations::SetFlags(int fd, int flags) {
  return OrError(fcntl(fd, F_SETFL, flags));
}

int Operations::Facts(int fd, FileFacts* facts) {
  *facts = FileFacts{};
  struct stat basic;
  if (fstat(fd, &basic) != 0) return -errno;
  facts->regular = S_ISREG(basic.st_mode);
  facts->bytes = static_cast<uint64_t>(basic.st_size);
  KernelStatx extended;
  memset(&extended, 0, sizeof extended);
  const long result = syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &extended);
  // A kernel or sandbox without statx only means that the alignment stays unknown.
  if (result == 0 && (extended.mask & STATX_DIOALIGN) != 0) {
    facts->alignment_known = true;
    facts->memory_alignment = extended.memory_alignment;
    facts->offset_alignment = extended.offset_alignment;
  }
  return 0;
}

int64_t Operations::WriteAt(int fd, const void* data, size_t bytes, uint64_t offset) {
  return OrError<int64_t>(pwrite(fd, data, bytes, static_cast<off_t>(offset)));
}

int64_t Operations::ReadAt(int fd, void* data, size_t bytes, uint64_t offset) {
  return OrError<int64_t>(pread(fd, data, bytes, static_cast<off_t>(offset)));
}

int Operations::OpenRing(unsigned entries, std::unique_ptr<Ring>* result) {
  return OpenSystemRing(*this, entries, result);
}

int Operations::RingSetup(unsigned entries, void* parameters) {
  return static_cast<int>(OrError(syscall(__NR_io_uring_setup, entries, parameters)));
}

int Operations::RingEnter(int ring, unsigned submitting, unsigned wanted) {
  // GETEVENTS always: with deferred tasks completions show up only when they are asked for.
  return static_cast<int>(OrError(syscall(__NR_io_uring_enter, ring, submitting, wanted,
                                          IORING_ENTER_GETEVENTS, nullptr, size_t{0})));
}

int Operations::RingRegister(int ring, unsigned what, void* argument, unsigned count) {
  return static_cast<int>(OrError(syscall(__NR_io_uring_register, ring, what, argument, count)));
}

int Operations::Map(int fd, size_t bytes, uint64_t offset, void** address) {
  void* const mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                             fd, static_cast<off_t>(offset));
  if (mapping == MAP_FAILED) return -errno;
  *address = mapping;
  return 0;
}

void Operations::Unmap(void* address, size_t bytes) {
  (void)munmap(address, bytes);
}

int Operations::Populate(void* address, size_t bytes) {
  const int error = OrError(madvise(address, bytes, MADV_POPULATE_READ));
  return error == -EINVAL ? -ENOSYS : error;
}

int Operations::Preallocate(int fd, uint64_t bytes) {
  return OrError(fallocate(fd, 0, 0, static_cast<off_t>(bytes)));
}

int Operations::Truncate(int fd, uint64_t bytes) {
  return OrError(ftruncate(fd, static_cast<off_t>(bytes)));
}

int Operations::StartWriteback(int fd, uint64_t offset, uint64_t bytes) {
  // Only SYNC_FILE_RANGE_WRITE: the waiting flags would consume a write-back error that fsync must
  // report.
  return OrError(sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(bytes),
                                 SYNC_FILE_RANGE_WRITE));
}

int Operations::Sync(int fd) {
  return OrError(fsync(fd));
}

int Operations::Close(int fd) {
  return OrError(close(fd));
}

int Operations::Unlink(const char* path) {
  return OrError(unlink(path));
}

void Operations::SleepMilliseconds(unsigned milliseconds) {
  timespec time{static_cast<time_t>(milliseconds / 1000),
                static_cast<long>(milliseconds % 1000) * 1000000};
  (void)nanosleep(&time, nullptr);
}

Operations& Operations::System() {
  static Operations* const instance = new Operations;
  return *instance;
}

}  // namespace holdfast
