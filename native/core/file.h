// One file, written or read at positions, directly (O_DIRECT) where that is possible.
//
// The first error of a write, a truncation or a sync poisons the file: it is kept, every later
// write and sync returns it, and no fsync is made. After a failed write or fsync a kernel may
// report success for bytes that are not on the device, so a second attempt proves nothing.
#ifndef HOLDFAST_CORE_FILE_H_
#define HOLDFAST_CORE_FILE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "core/file_mapping.h"
#include "core/operations.h"
#include "core/status.h"

namespace holdfast {

enum class DirectMode { kRequired, kOptional, kDisabled };

// Staging memory, file offsets and lengths are kept at multiples of this, or of what the file
// system asks for where that is more. No known device needs more than 4096.
inline constexpr uint32_t kBlockBytes = 4096;

// Bytes on their way between memory and one place of a file: as many system calls as it takes.
// Made by whoever makes the calls, one after another: File::NextCall, the call, File::TakeResult.
struct Transfer {
  bool write = false;
  uint8_t* memory = nullptr;
  size_t bytes = 0;
  size_t needed =
      0;  // writes: all of `bytes`; reads: fewer than this many mean the end of the file
  uint64_t offset = 0;

  size_t transferred = 0;  // valid bytes in `memory` (reads), or bytes in the file (writes)
  Status status;
  // File's own.
  size_t done = 0;
  unsigned attempts = 0;
  bool attempted_direct = false;
  bool over = false;
};

// Thread-safe, except that Close() must come after every other call has returned.
class File {
 public:
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // Creates `path`, which must not exist, and preallocates `bytes` rounded up to whole blocks. A
  // file that was created but could not be set up is removed again. `operations` must outlive the
  // file.
  static Status Create(Operations& operations, const std::string& path, DirectMode mode,
                       unsigned permissions, uint64_t bytes, std::unique_ptr<File>* result);
  // Opens an existing regular file for reading; a symbolic link is refused.
  static Status OpenForReading(Operations& operations, const std::string& path, DirectMode mode,
                               std::unique_ptr<File>* result);

  // Writes all of `bytes`, or poisons the file. While direct() holds, address, offset and length
  // must be multiples of alignment().
  Status WriteAt(const uint8_t* data, size_t bytes, uint64_t offset);
  // Reads until `needed` bytes (<= `bytes`) are there or the file ends; `*count` says how many
  // bytes from `offset` on are valid. Same alignment rule, for `bytes` too.
  Status ReadAt(uint8_t* data, size_t bytes, size_t needed, uint64_t offset, size_t* count);
  // The same in steps, for those who make the calls in their own way: what is to be called next;
  // false when the transfer is over, and its status says how it went.
  bool NextCall(Transfer* transfer, TransferCall* call);
  // What the call gave: the number of bytes, or a negative errno.
  void TakeResult(Transfer* transfer, int64_t result);
  // Maps `bytes` > 0 bytes from `offset` on, through the page cache whatever direct() is.
  Status Map(uint64_t offset, uint64_t bytes, FileMapping* result);
  Status Truncate(uint64_t bytes);
  Status Sync();
  // Closes without syncing. The error of a close is reported once; later calls do nothing.
  Status Close();
  // Makes every later write and sync fail with `status`, unless an earlier error is already kept.
  void Poison(const Status& status);
  Status poison() const;

  bool direct() const { return direct_.load(std::memory_order_acquire); }
  std::string direct_reason() const;
  uint32_t alignment() const { return alignment_; }
  // Size when the file was opened for reading.
  uint64_t bytes_at_open() const { return bytes_at_open_; }
  const std::string& path() const { return path_; }

 private:
  File(Operations& operations, std::string path, DirectMode mode);
  Status Open(int flags, unsigned permissions);
  Status ChooseDirect(int flags);
  Status FallBack(const std::string& reason);
  Status Preallocate(uint64_t bytes);
  Status Fail(int error_number, const char* system_call);
  Status Run(Transfer* transfer);
  void TakeWritten(Transfer* transfer, size_t bytes);
  void TakeRead(Transfer* transfer, size_t bytes);
  void End(Transfer* transfer, Status status);
  Status StartWriteback(const Transfer& transfer);
  bool RetryTransfer(int64_t result, unsigned* attempts);
  bool LeaveDirect(int64_t result, bool attempted_direct, const char* system_call);

  Operations& operations_;
  const std::string path_;
  const DirectMode mode_;
  int fd_ = -1;
  int flags_ = 0;
  uint32_t alignment_ = kBlockBytes;
  uint64_t bytes_at_open_ = 0;
  std::atomic<bool> direct_{false};
  std::atomic<bool> direct_proven_{false};
  std::atomic<bool> poisoned_{false};
  mutable std::mutex mutex_;
  std::string direct_reason_;  // guarded by mutex_
  Status poison_;              // guarded by mutex_
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_FILE_H_
