#include "core/system_probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/aligned_memory.h"
#include "core/file.h"
#include "core/operations.h"
#include "core/ring.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

namespace holdfast {

namespace {

// linux/magic.h lacks some, and those that out-of-tree file systems use.
std::string FileSystemName(uint64_t magic) {
  static constexpr struct {
    uint64_t magic;
    const char* name;
  } kNames[] = {
      {0xEF53, "ext4"},          {0x58465342, "xfs"},       {0x9123683E, "btrfs"},
      {0x01021994, "tmpfs"},     {0x794C7630, "overlayfs"}, {0x6969, "nfs"},
      {0x65735546, "fuse"},      {0x2FC12FC1, "zfs"},       {0xF2F52010, "f2fs"},
      {0xCA451A4E, "bcachefs"},  {0x858458F6, "ramfs"},     {0xFF534D42, "cifs"},
      {0xFE534D42, "smb2"},      {0x517B, "smb"},           {0x00C36400, "ceph"},
      {0x0BD00BD0, "lustre"},    {0x47504653, "gpfs"},      {0x19830326, "beegfs"},
      {0x7461636F, "ocfs2"},     {0x01161970, "gfs2"},      {0x4D44, "vfat"},
      {0x2011BAB0, "exfat"},     {0x7366746E, "ntfs3"},     {0x5346544E, "ntfs"},
      {0x01021997, "9p"},        {0x6A656A63, "virtiofs"},  {0x73717368, "squashfs"},
      {0xE0F5E1E2, "erofs"},     {0x3153464A, "jfs"},       {0x52654973, "reiserfs"},
      {0x958458F6, "hugetlbfs"}, {0x62656570, "configfs"},  {0x9FA0, "proc"},
      {0x62656572, "sysfs"},     {0x786F4256, "vboxsf"},    {0xF15F, "ecryptfs"},
  };
  for (const auto& entry : kNames) {
    if (entry.magic == magic) return entry.name;
  }
  char text[40];
  snprintf(text, sizeof text, "unknown(0x%llx)", static_cast<unsigned long long>(magic));
  return text;
}

// A file of one block in `directory` that is gone when its descriptor is closed.
int MakeProbeFile(const std::string& directory) {
  int fd = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT) return -errno;
  static std::atomic<unsigned> counter{0};
  const std::string path = directory + "/.holdfast-probe-" + std::to_string(getpid()) + "-" +
                           std::to_string(counter.fetch_add(1));
  fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  (void)unlink(path.c_str());
  return fd;
}

void Refuse(ProbeResult* result, std::string reason) {
  result->direct = false;
  result->memory_alignment = result->offset_alignment = 0;
  result->reason = std::move(reason);
}

// Decides by what the kernel says and by what it does.
void ProbeDirect(int fd, bool may_write, ProbeResult* result) {
  FileFacts facts;
  result->memory_alignment = result->offset_alignment = kBlockBytes;
  result->reason = "assumed alignment of 4096 bytes (the kernel does not report it)";
  if (Operations::System().Facts(fd, &facts) == 0 && facts.alignment_known) {
    if (facts.memory_alignment == 0 || facts.offset_alignment == 0) {
      Refuse(result, "the file system does not support direct I/O on this file (STATX_DIOALIGN)");
      return;
    }
    result->memory_alignment = facts.memory_alignment;
    result->offset_alignment = facts.offset_alignment;
    result->reason = "STATX_DIOALIGN";
  }
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) {
    Refuse(result, "the file system refused O_DIRECT (" + ErrorName(errno) + ")");
    return;
  }
  result->direct = true;
  if (!may_write) return;
  const size_t bytes = std::max({kBlockBytes, result->memory_alignment, result->offset_alignment});
  AlignedMemory block;
  if (bytes > (1U << 20) || !AlignedMemory::Allocate(bytes, &block).ok()) return;
  if (pwrite(fd, block.data(), bytes, 0) < 0) {
    Refuse(result, "a direct write of one block failed (" + ErrorName(errno) + ")");
  }
}

}  // namespace

Status Probe(const std::string& path, ProbeResult* result) {
  struct statfs file_system;
  if (statfs(path.c_str(), &file_system) != 0) return Status::System(errno, "statfs", path);
  *result = ProbeResult{};
  result->file_system = FileSystemName(static_cast<uint32_t>(file_system.f_type));
  struct stat facts;
  if (stat(path.c_str(), &facts) != 0) return Status::System(errno, "stat", path);
  const bool directory = S_ISDIR(facts.st_mode);
  if (!directory && !S_ISREG(facts.st_mode)) {
    return Status::InvalidArgument("neither a directory nor a regular file: '" + path + "'");
  }
  const int fd = directory ? MakeProbeFile(path) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (directory && fd < 0) {
    Refuse(result, "no file can be made here to try it with (" + ErrorName(-fd) + ")");
    return Status::Ok();
  }
  if (fd < 0) return Status::System(errno, "open", path);
  ProbeDirect(fd, directory, result);
  (void)close(fd);
  return Status::Ok();
}

bool ProbeIoUring(std::string* reason) {
  std::unique_ptr<Ring> ring;
  int error = Operations::System().OpenRing(1, &ring);
  if (error == 0) error = ring->Submit(0);
  *reason = error == 0 ? "available" : DescribeRingError(-error);
  return error == 0;
}

Status RenameNoReplace(const std::string& from, const std::string& to) {
  if (syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    return Status::Ok();
  }
  return Status::System(errno, "renameat2", errno == EEXIST ? to : from);
}

Status LockFile(const std::string& path, int* result) {
  const int fd = open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return Status::System(errno, "open", path);
  struct flock lock;
  memset(&lock, 0, sizeof lock);
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;  // from the beginning, to the end however the file grows
  if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
    // Both mean "held by another"; callers need to know one.
    const int error = errno == EACCES ? EAGAIN : errno;
    (void)close(fd);
    return Status::System(error, "fcntl", path);
  }
  *result = fd;
  return Status::Ok();
}

void UnlockFile(int fd) {
  (void)close(fd);
}

Status SetThreadNice(int nice) {
  // On Linux every thread has a nice value of its own, and 0 means the calling one.
  if (setpriority(PRIO_PROCESS, 0, nice) != 0) return Status::System(errno, "setpriority", "");
  return Status::Ok();
}

}  // namespace holdfast
