// System calls that fail, fall short or are counted on demand.
#ifndef HOLDFAST_TEST_FAULTY_OPERATIONS_H_
#define HOLDFAST_TEST_FAULTY_OPERATIONS_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/operations.h"
#include "core/ring.h"

namespace holdfast {

// Passes every call on to the real system, except those that a rule catches.
class FaultyOperations : public Operations {
 public:
  struct Rule {
    std::string call;          // "pwrite", "fsync", …
    unsigned nth = 1;          // the first call it applies to, from 1
    bool persistent = false;   // and all later ones
    int error = 0;             // errno to fail with, or
    size_t at_most = 0;        // bytes to transfer at most
    bool only_direct = false;  // not once O_DIRECT is off
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

  // Called before every pwrite and pread, on the thread that makes it or puts it into a ring.
  std::function<void()> on_transfer;
  // Sees what is going to be transferred.
  std::function<void(const TransferCall&)> on_call;
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
    uint8_t* const memory = static_cast<uint8_t*>(const_cast<void*>(data));
    TransferCall call{true, fd, memory, bytes, offset};
    const int error = ApplyTo(&call);
    return error != 0 ? error : Operations::WriteAt(fd, data, call.bytes, offset);
  }
  int64_t ReadAt(int fd, void* data, size_t bytes, uint64_t offset) override {
    TransferCall call{false, fd, static_cast<uint8_t*>(data), bytes, offset};
    const int error = ApplyTo(&call);
    return error != 0 ? error : Operations::ReadAt(fd, data, call.bytes, offset);
  }
  // Transfers through rings are caught by the rules for "pwrite" and "pread"; what they make of
  // them comes as a completion. "io_uring_try" is an io_uring_enter that neither submits nor waits.
  int OpenRing(unsigned entries, std::unique_ptr<Ring>* result) override {
    std::unique_ptr<Ring> ring;
    const int error = Operations::OpenRing(entries, &ring);
    if (error == 0) *result = std::make_unique<FaultyRing>(this, std::move(ring));
    return error;
  }
  int RingSetup(unsigned entries, void* parameters) override {
    const int error = Apply("io_uring_setup", nullptr);
    return error != 0 ? error : Operations::RingSetup(entries, parameters);
  }
  int RingEnter(int ring, unsigned submitting, unsigned wanted) override {
    const bool trial = submitting == 0 && wanted == 0;
    const int error = Apply(trial ? "io_uring_try" : "io_uring_enter", nullptr);
    return error != 0 ? error : Operations::RingEnter(ring, submitting, wanted);
  }
  int RingRegister(int ring, unsigned what, void* argument, unsigned count) override {
    const int error = Apply(what == 0 ? "register memory" : "io_uring_register", nullptr);
    return error != 0 ? error : Operations::RingRegister(ring, what, argument, count);
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
  class FaultyRing : public Ring {
   public:
    FaultyRing(FaultyOperations* operations, std::unique_ptr<Ring> ring)
        : operations_(*operations), ring_(std::move(ring)) {}
    bool RegisterMemory(uint8_t* data, size_t bytes) override {
      return ring_->RegisterMemory(data, bytes);
    }
    void Queue(const TransferCall& call, uint64_t tag) override {
      TransferCall changed = call;
      const int error = operations_.ApplyTo(&changed);
      if (error == 0) return ring_->Queue(changed, tag);
      made_up_.push_back({tag, error});
    }
    int Submit(unsigned wanted) override { return ring_->Submit(made_up_.empty() ? wanted : 0); }
    bool Pop(Completion* completion) override {
      if (made_up_.empty()) return ring_->Pop(completion);
      *completion = made_up_.front();
      made_up_.pop_front();
      return true;
    }

   private:
    FaultyOperations& operations_;
    const std::unique_ptr<Ring> ring_;
    std::deque<Completion> made_up_;
  };

  int ApplyTo(TransferCall* call) {
    const int error = Apply(call->write ? "pwrite" : "pread", &call->bytes);
    CheckAlignment(call->memory, call->offset);
    if (on_transfer) on_transfer();
    if (on_call) on_call(*call);
    return error;
  }
  int Apply(const std::string& call, size_t* bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const unsigned number = ++counts_[call];
    log_.push_back(call);
    for (const Rule& rule : rules_) {
      if (rule.call != call || number < rule.nth || (!rule.persistent && number != rule.nth)) {
        continue;
      }
      if (rule.only_direct && !direct_) continue;
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
