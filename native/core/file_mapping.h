// Bytes of a file as memory: read when they are touched, private to this process when written.
#ifndef HOLDFAST_CORE_FILE_MAPPING_H_
#define HOLDFAST_CORE_FILE_MAPPING_H_

#include <cstddef>
#include <cstdint>

#include "core/operations.h"
#include "core/status.h"

namespace holdfast {

// Owns its mapping; movable, not copyable.
class FileMapping {
 public:
  FileMapping() = default;
  ~FileMapping() { Release(); }
  FileMapping(FileMapping&& other) noexcept;
  FileMapping& operator=(FileMapping&& other) noexcept;
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;

  // `bytes` > 0, all inside the file. `operations` must outlive the mapping.
  static Status Make(Operations& operations, int fd, uint64_t offset, uint64_t bytes,
                     FileMapping* result);

  // Brings [at, at + bytes) into memory. An error here would have ended the process (SIGBUS) at the
  // first touch. ENOSYS: this kernel has no such call.
  Status Populate(uint64_t at, uint64_t bytes);

  uint8_t* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  void Release();

  Operations* operations_ = nullptr;
  uint8_t* data_ = nullptr;
  uint64_t bytes_ = 0;
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_FILE_MAPPING_H_
