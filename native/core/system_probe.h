// What this machine can do, and calls that Node.js lacks.
#ifndef HOLDFAST_CORE_SYSTEM_PROBE_H_
#define HOLDFAST_CORE_SYSTEM_PROBE_H_

#include <cstdint>
#include <string>

#include "core/status.h"

namespace holdfast {

struct ProbeResult {
  std::string file_system;  // "ext4", "tmpfs", …; "unknown(0x…)" otherwise
  bool direct = false;
  uint32_t memory_alignment = 0;  // bytes; 0 where direct I/O is not possible
  uint32_t offset_alignment = 0;
  std::string reason;
};

// `path` is a directory or a regular file. A directory is tried with an unnamed file of one block
// (or, where the file system has none of these, one that is removed at once); a file is only
// opened.
Status Probe(const std::string& path, ProbeResult* result);

// Whether a ring can be set up and entered, and if not, why.
bool ProbeIoUring(std::string* reason);

// renameat2(RENAME_NOREPLACE): EEXIST if `to` exists; EINVAL or ENOSYS where the file system can't.
Status RenameNoReplace(const std::string& from, const std::string& to);

// Takes an exclusive open-file-description lock on an existing regular file: it excludes other
// descriptors of this process too, and goes with the descriptor. EAGAIN if it is held elsewhere.
Status LockFile(const std::string& path, int* fd);
void UnlockFile(int fd);

// The nice value, -20 to 19, of the calling thread; threads inherit it from those that start them.
Status SetThreadNice(int nice);

}  // namespace holdfast

#endif  // HOLDFAST_CORE_SYSTEM_PROBE_H_
