#include "core/file_mapping.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/counters.h"

namespace holdfast {

FileMapping::FileMapping(FileMapping&& other) noexcept {
  *this = std::move(other);
}

FileMapping& FileMapping::operator=(FileMapping&& other) noexcept {
  if (this != &other) {
    Release();
    operations_ = other.operations_;
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    mapping_ = std::exchange(other.mapping_, nullptr);
    mapping_bytes_ = std::exchange(other.mapping_bytes_, 0);
  }
  return *this;
}

Status FileMapping::Make(Operations& operations, int fd, uint64_t offset, uint64_t bytes,
                         FileMapping* result) {
  // A mapping begins on a page; what was asked for may begin inside one.
  const uint64_t page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t before = offset % page_bytes;
  FileMapping mapping;
  const int error =
      operations.Map(fd, static_cast<size_t>(before + bytes), offset - before, &mapping.mapping_);
  if (error < 0) return Status::System(-error, "mmap", "");
  mapping.operations_ = &operations;
  mapping.mapping_bytes_ = static_cast<size_t>(before + bytes);
  mapping.data_ = static_cast<uint8_t*>(mapping.mapping_) + before;
  mapping.bytes_ = bytes;
  counters().mapped_bytes += static_cast<int64_t>(bytes);
  *result = std::move(mapping);
  return Status::Ok();
}

Status FileMapping::Populate(uint64_t at, uint64_t bytes) {
  const uintptr_t page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t address = reinterpret_cast<uintptr_t>(data_ + at);
  const uintptr_t begin = address / page_bytes * page_bytes;
  int error;
  do {
    error = operations_->Populate(reinterpret_cast<void*>(begin), address + bytes - begin);
  } while (error == -EINTR || error == -EAGAIN);
  if (error == 0) return Status::Ok();
  // EFAULT stands for the error of the device here.
  return Status::System(error == -EFAULT ? EIO : -error, "madvise", "");
}

void FileMapping::Release() {
  if (mapping_ == nullptr) return;
  counters().mapped_bytes -= static_cast<int64_t>(bytes_);
  operations_->Unmap(mapping_, mapping_bytes_);
  mapping_ = nullptr;
  data_ = nullptr;
  bytes_ = 0;
}

}  // namespace holdfast
