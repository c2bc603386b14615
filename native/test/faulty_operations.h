// System calls that fail, fall short or are counted on demand.
#ifndef HOLDFAST_TEST_FAULTY_OPERATIONS_H_
#define HOLDFAST_TEST_FAULTY_OPERATIONS_H_

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/operations.h"

namespace holdfast {

// Passes every call on to the real system, except those that a rule catches.
class FaultyOperations : public Operations {
 public:
  struct Rule {
    std::string call;         // "pwrite", "fsync", …
    unsigned nth = 1;         // the first call it applies to, from 1
    bool persistent = false;  // and all later ones
    int error = 0;            // errno to fail with, or
    size_t at_most = 0;       // bytes to transfer at most
  };

  void Add(Rule rule) {
    const std::lock_guard<std::mutex> lock(mutex_);
    rules_.push_back(std::move(rule));
  }
  unsigned count(const std::string& call) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = counts_.find(call);
    return found == counts_.end() ? 0 : found->second;
  }
  // Calls in the order they were made.
  std::vector<std::string> log() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return log_;
  }
  bool misaligned() const { return misaligned_; }

  // Called before every pwrite and pread, on the thread that makes it.
  std::function<void()> on_transfer;
  // Overrides what the kernel says of alignment.
  bool override_facts = false;
  FileFacts facts;
  unsigned alignment = 512;

  int Open(const char* path, int flags, unsigned mode) override {
    const int error = Apply("open", nullptr);
    return error != 0 ? error : Operations::Open(path, flags, mode);
  }
  int SetFlags(int fd, int flags) override {
    const int error = Apply("fcntl", nullptr);
    if (error != 0) return error;
    const int result = Operations::SetFlags(fd, flags);
    const std::lock_guard<std::mutex> lock(mutex_);
    direct_ = result == 0 && (flags & 040000) != 0;  // O_DIRECT on x86 and arm64
    return result;
  }
  int Facts(int fd, FileFacts* result) override {
    const int error = Apply("statx", nullptr);
    if (error != 0) return error;
    const int status = Operations::Facts(fd, result);
    if (override_facts) {
      result->alignment_known = facts.alignment_known;
      result->memory_alignment = facts.memory_alignment;
      result->offset_alignment = facts.offset_alignment;
    }
    return status;
  }
  int64_t WriteAt(int fd, const void* data, size_t bytes, uint64_t offset) override {
    const int error = Apply("pwrite", &bytes);
    CheckAlignment(data, offset);
    if (on_transfer) on_transfer();
    return error != 0 ? error : Operations::WriteAt(fd, data, bytes, offset);
  }
  int64_t ReadAt(int fd, void* data, size_t bytes, uint64_t offset) override {
    const int error = Apply("pread", &bytes);
    CheckAlignment(data, offset);
    if (on_transfer) on_transfer();
    return error != 0 ? error : Operations::ReadAt(fd, data, bytes, offset);
  }
  int Preallocate(int fd, uint64_t bytes) override {
    const int error = Apply("fallocate", nullptr);
    return error != 0 ? error : Operations::Preallocate(fd, bytes);
  }
  int Truncate(int fd, uint64_t bytes) override {
    const int error = Apply("ftruncate", nullptr);
    return error != 0 ? error : Operations::Truncate(fd, bytes);
  }
  int StartWriteback(int fd, uint64_t offset, uint64_t bytes) override {
    const int error = Apply("sync_file_range", nullptr);
    return error != 0 ? error : Operations::StartWriteback(fd, offset, bytes);
  }
  int Sync(int fd) override {
    const int error = Apply("fsync", nullptr);
    return error != 0 ? error : Operations::Sync(fd);
  }
  int Close(int fd) override {
    const int error = Apply("close", nullptr);
    const int result = Operations::Close(fd);
    return error != 0 ? error : result;
  }
  int Unlink(const char* path) override {
    const int error = Apply("unlink", nullptr);
    return error != 0 ? error : Operations::Unlink(path);
  }
  void SleepMilliseconds(unsigned) override { Apply("sleep", nullptr); }

 private:
  int Apply(const std::string& call, size_t* bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const unsigned number = ++counts_[call];
    log_.push_back(call);
    for (const Rule& rule : rules_) {
      if (rule.call != call || number < rule.nth || (!rule.persistent && number != rule.nth)) {
        continue;
      }
      if (rule.error != 0) return -rule.error;
      if (bytes != nullptr && rule.at_most != 0) {
        *bytes = std::min(*bytes, rule.at_most);
        if (direct_) *bytes = std::max<size_t>(*bytes / alignment * alignment, alignment);
      }
    }
    return 0;
  }
  void CheckAlignment(const void* data, uint64_t offset) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (direct_ && (reinterpret_cast<uintptr_t>(data) % 4096 != 0 || offset % 4096 != 0)) {
      misaligned_ = true;
    }
  }

  mutable std::mutex mutex_;
  std::vector<Rule> rules_;
  std::map<std::string, unsigned> counts_;
  std::vector<std::string> log_;
  bool direct_ = false;
  bool misaligned_ = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_TEST_FAULTY_OPERATIONS_H_
