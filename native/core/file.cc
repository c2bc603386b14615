#include "core/file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace holdfast {

namespace {

// A regular file should never give EAGAIN or accept nothing; a file system that does gets a second
// in all, then an error.
constexpr unsigned kAttemptsMax = 100;
constexpr unsigned kPauseMilliseconds = 10;

uint64_t RoundUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

bool IsPowerOfTwo(uint32_t value) {
  return value != 0 && (value & (value - 1)) == 0;
}

}  // namespace

File::File(Operations& operations, std::string path, DirectMode mode)
    : operations_(operations), path_(std::move(path)), mode_(mode) {}

File::~File() {
  (void)Close();
}

Status File::Create(Operations& operations, const std::string& path, DirectMode mode,
                    unsigned permissions, uint64_t bytes, std::unique_ptr<File>* result) {
  std::unique_ptr<File> file(new File(operations, path, mode));
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  Status status = file->Open(flags, permissions);
  if (!status.ok()) return status;
  // From here on the file is ours (O_EXCL), so it may be removed if it can't be used.
  status = file->ChooseDirect(O_WRONLY);
  if (status.ok()) status = file->Preallocate(RoundUp(bytes, file->alignment_));
  if (!status.ok()) {
    (void)operations.Unlink(path.c_str());
    return status;
  }
  *result = std::move(file);
  return Status::Ok();
}

Status File::OpenForReading(Operations& operations, const std::string& path, DirectMode mode,
                            std::unique_ptr<File>* result) {
  std::unique_ptr<File> file(new File(operations, path, mode));
  // O_NONBLOCK: opening a FIFO must not wait for a writer; it means nothing for a regular file.
  HOLDFAST_RETURN_IF_ERROR(file->Open(O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0));
  FileFacts facts;
  const int error = operations.Facts(file->fd_, &facts);
  if (error < 0) return Status::System(-error, "statx", path);
  if (!facts.regular) return Status::InvalidArgument("not a regular file: '" + path + "'");
  file->bytes_at_open_ = facts.bytes;
  HOLDFAST_RETURN_IF_ERROR(file->ChooseDirect(O_RDONLY));
  *result = std::move(file);
  return Status::Ok();
}

Status File::Open(int flags, unsigned permissions) {
  int fd;
  do {
    fd = operations_.Open(path_.c_str(), flags, permissions);
  } while (fd == -EINTR);
  if (fd < 0) return Status::System(-fd, "open", path_);
  fd_ = fd;
  return Status::Ok();
}

// O_DIRECT is switched on after opening, so that a file system that refuses it can't leave behind a
// file that open(O_CREAT | O_DIRECT) both made and failed on.
Status File::ChooseDirect(int flags) {
  flags_ = flags;
  if (mode_ == DirectMode::kDisabled) return FallBack("direct I/O is disabled by the caller");
  FileFacts facts;
  const int error = operations_.Facts(fd_, &facts);
  if (error < 0) return Status::System(-error, "statx", path_);
  std::string source = "assumed alignment of 4096 bytes (the kernel does not report it)";
  if (facts.alignment_known) {
    if (facts.offset_alignment == 0 || facts.memory_alignment == 0) {
      return FallBack("the file system does not support direct I/O on this file (STATX_DIOALIGN)");
    }
    const uint32_t needed = std::max(facts.offset_alignment, facts.memory_alignment);
    if (!IsPowerOfTwo(needed) || needed > (1U << 20)) {
      return FallBack("the file system asks for an alignment of " + std::to_string(needed));
    }
    alignment_ = std::max(kBlockBytes, needed);
    source = "STATX_DIOALIGN: memory " + std::to_string(facts.memory_alignment) + ", offset " +
             std::to_string(facts.offset_alignment);
  }
  const int result = operations_.SetFlags(fd_, flags | O_DIRECT);
  if (result < 0) {
    return FallBack("the file system refused O_DIRECT (" + ErrorName(-result) + ")");
  }
  direct_.store(true, std::memory_order_release);
  const std::lock_guard<std::mutex> lock(mutex_);
  direct_reason_ = source;
  return Status::Ok();
}

Status File::FallBack(const std::string& reason) {
  if (mode_ == DirectMode::kRequired) {
    return Status::DirectIo(
        "direct I/O is required, but " + reason + ": '" + path_ +
            "'. Use a file system such as ext4 or XFS, or make direct I/O optional.",
        path_);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  direct_reason_ = reason;
  direct_.store(false, std::memory_order_release);
  return Status::Ok();
}

// Two reasons: a full disk is found before the first byte, and parallel writes inside the file's
// size need no exclusive lock where writes that extend it do.
Status File::Preallocate(uint64_t bytes) {
  if (bytes == 0) return Status::Ok();
  int error;
  do {
    error = operations_.Preallocate(fd_, bytes);
  } while (error == -EINTR);
  if (error == 0) return Status::Ok();
  if (error != -EOPNOTSUPP && error != -ENOSYS && error != -EINVAL) {
    return Status::System(-error, "fallocate", path_);
  }
  do {
    error = operations_.Truncate(fd_, bytes);
  } while (error == -EINTR);
  return error < 0 ? Status::System(-error, "ftruncate", path_) : Status::Ok();
}

// True if the call should be made again: it was interrupted, or the system asked for patience.
bool File::RetryTransfer(int64_t result, unsigned* attempts) {
  if (result == -EINTR) return true;
  if (result != -EAGAIN && result != 0) return false;
  if (++*attempts >= kAttemptsMax) return false;
  operations_.SleepMilliseconds(kPauseMilliseconds);
  return true;
}

// EINVAL before any direct transfer has succeeded means that this file system takes the flag but
// not the transfer. Several threads may find out at once; the first one switches the flag off.
bool File::LeaveDirect(int64_t result, bool attempted_direct, const char* system_call) {
  if (result != -EINVAL || !attempted_direct || mode_ != DirectMode::kOptional) return false;
  if (!direct()) return true;  // another thread has switched it off in the meantime
  if (direct_proven_.load(std::memory_order_acquire)) return false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!direct()) return true;
    if (operations_.SetFlags(fd_, flags_) < 0) return false;
    direct_reason_ = std::string("the file system refused a direct ") + system_call + " (EINVAL)";
    direct_.store(false, std::memory_order_release);
  }
  return true;
}

Status File::WriteAt(const uint8_t* data, size_t bytes, uint64_t offset) {
  Transfer transfer;
  transfer.write = true;
  transfer.memory = const_cast<uint8_t*>(data);  // only read from
  transfer.bytes = transfer.needed = bytes;
  transfer.offset = offset;
  return Run(&transfer);
}

Status File::ReadAt(uint8_t* data, size_t bytes, size_t needed, uint64_t offset, size_t* count) {
  Transfer transfer;
  transfer.memory = data;
  transfer.bytes = bytes;
  transfer.needed = needed;
  transfer.offset = offset;
  const Status status = Run(&transfer);
  *count = transfer.transferred;
  return status;
}

Status File::Run(Transfer* transfer) {
  TransferCall call;
  while (NextCall(transfer, &call)) {
    TakeResult(transfer, call.write
                             ? operations_.WriteAt(call.fd, call.memory, call.bytes, call.offset)
                             : operations_.ReadAt(call.fd, call.memory, call.bytes, call.offset));
  }
  return transfer->status;
}

bool File::NextCall(Transfer* transfer, TransferCall* call) {
  if (transfer->over) return false;
  if (transfer->write && poisoned_.load(std::memory_order_acquire)) {
    End(transfer, poison());
    return false;
  }
  if (transfer->done >= transfer->needed) {
    End(transfer, transfer->write ? StartWriteback(*transfer) : Status::Ok());
    return false;
  }
  transfer->attempted_direct = direct();
  call->write = transfer->write;
  call->fd = fd_;
  call->memory = transfer->memory + transfer->done;
  call->bytes = transfer->bytes - transfer->done;
  call->offset = transfer->offset + transfer->done;
  return true;
}

void File::TakeResult(Transfer* transfer, int64_t result) {
  if (result > 0) {
    if (transfer->attempted_direct) direct_proven_.store(true, std::memory_order_release);
    const size_t bytes = std::min(static_cast<size_t>(result), transfer->bytes - transfer->done);
    return transfer->write ? TakeWritten(transfer, bytes) : TakeRead(transfer, bytes);
  }
  if (result == 0 && !transfer->write) return End(transfer, Status::Ok());  // end of file
  if (RetryTransfer(result, &transfer->attempts)) return;
  if (LeaveDirect(result, transfer->attempted_direct, transfer->write ? "write" : "read")) return;
  const int error = result == 0 ? EIO : static_cast<int>(-result);
  End(transfer, transfer->write ? Fail(error, "pwrite") : Status::System(error, "pread", path_));
}

void File::TakeWritten(Transfer* transfer, size_t bytes) {
  const size_t before = transfer->done;
  transfer->done += bytes;
  // What remains must stay aligned: part of a block is written again with the next call.
  if (transfer->done < transfer->bytes && direct()) transfer->done -= transfer->done % alignment_;
  transfer->transferred = transfer->done;
  if (transfer->done > before) {
    transfer->attempts = 0;
  } else if (++transfer->attempts >= kAttemptsMax) {
    End(transfer, Fail(EIO, "pwrite"));
  }
}

void File::TakeRead(Transfer* transfer, size_t bytes) {
  transfer->done += bytes;
  const bool progress = transfer->done > transfer->transferred;
  transfer->transferred = std::max(transfer->transferred, transfer->done);
  if (!direct() || transfer->done >= transfer->needed || transfer->done % alignment_ == 0) return;
  // Either the end of the file or a short read: asking again from the block's start tells.
  if (!progress) return End(transfer, Status::Ok());
  transfer->done -= transfer->done % alignment_;
}

void File::End(Transfer* transfer, Status status) {
  transfer->status = std::move(status);
  transfer->over = true;
}

// Keeps the amount of unwritten data, and so the duration of the final fsync, small.
Status File::StartWriteback(const Transfer& transfer) {
  if (direct()) return Status::Ok();
  const int error = operations_.StartWriteback(fd_, transfer.offset, transfer.bytes);
  if (error < 0 && error != -ENOSYS && error != -EINVAL && error != -ESPIPE &&
      error != -EOPNOTSUPP && error != -EINTR && error != -EAGAIN) {
    return Fail(-error, "sync_file_range");
  }
  return Status::Ok();
}

Status File::Map(uint64_t offset, uint64_t bytes, FileMapping* result) {
  return FileMapping::Make(operations_, fd_, offset, bytes, result);
}

Status File::Truncate(uint64_t bytes) {
  if (poisoned_.load(std::memory_order_acquire)) return poison();
  int error;
  do {
    error = operations_.Truncate(fd_, bytes);
  } while (error == -EINTR);
  return error < 0 ? Fail(-error, "ftruncate") : Status::Ok();
}

Status File::Sync() {
  if (poisoned_.load(std::memory_order_acquire)) return poison();
  // Not even EINTR is retried: what a second fsync says is not about the first one's data.
  const int error = operations_.Sync(fd_);
  return error < 0 ? Fail(-error, "fsync") : Status::Ok();
}

Status File::Close() {
  if (fd_ < 0) return Status::Ok();
  // On Linux the descriptor is gone whatever close returns; closing again could hit another file.
  const int error = operations_.Close(std::exchange(fd_, -1));
  return error < 0 && error != -EINTR ? Status::System(-error, "close", path_) : Status::Ok();
}

void File::Poison(const Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!poison_.ok()) return;
  poison_ = status;
  poisoned_.store(true, std::memory_order_release);
}

Status File::poison() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return poison_;
}

std::string File::direct_reason() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return direct_reason_;
}

Status File::Fail(int error_number, const char* system_call) {
  Poison(Status::System(error_number, system_call, path_));
  return poison();
}

}  // namespace holdfast
