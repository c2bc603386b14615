#include "core/ring.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/status.h"

namespace holdfast {

namespace {

// Flags that are younger than the oldest header this is built with.
constexpr uint32_t kCooperativeTasks = 1U << 8;  // IORING_SETUP_COOP_TASKRUN, Linux 5.19
constexpr uint32_t kSingleIssuer = 1U << 12;     // IORING_SETUP_SINGLE_ISSUER, 6.0
constexpr uint32_t kDeferredTasks = 1U << 13;    // IORING_SETUP_DEFER_TASKRUN, 6.1
constexpr uint32_t kStartsDisabled = 1U << 6;    // IORING_SETUP_R_DISABLED, 5.10
constexpr unsigned kRegisterProbe = 8;           // IORING_REGISTER_PROBE, 5.6
constexpr unsigned kRegisterEnable = 12;         // IORING_REGISTER_ENABLE_RINGS, 5.10
constexpr uint8_t kOpcodeRead = 22;              // IORING_OP_READ, 5.6
constexpr uint8_t kOpcodeWrite = 23;             // IORING_OP_WRITE, 5.6

// A kernel that is short of memory gets a second in all before the ring is given up.
constexpr unsigned kAttemptsMax = 100;
constexpr unsigned kPauseMilliseconds = 10;

// The kernel writes these words while we read them, and the other way round.
uint32_t Load(const uint32_t* word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void Store(uint32_t* word, uint32_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

class Mapping {
 public:
  ~Mapping() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }
  int Map(int fd, size_t bytes, off_t offset) {
    void* data =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
    if (data == MAP_FAILED) return -errno;
    data_ = static_cast<uint8_t*>(data);
    bytes_ = bytes;
    return 0;
  }
  template <typename T>
  T* At(uint32_t offset) const {
    return reinterpret_cast<T*>(data_ + offset);
  }

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

class SystemRing : public Ring {
 public:
  explicit SystemRing(Operations& operations) : operations_(operations) {}
  ~SystemRing() override {
    if (fd_ >= 0) (void)close(fd_);
  }

  int Open(unsigned entries) {
    // Completions are taken in by the thread that submits, when it asks for them: nothing
    // interrupts its copying. Older kernels do not know the flags.
    const uint32_t wishes[] = {kSingleIssuer | kDeferredTasks | kStartsDisabled, kCooperativeTasks,
                               0};
    io_uring_params parameters;
    int fd = -EINVAL;
    for (const uint32_t flags : wishes) {
      memset(&parameters, 0, sizeof parameters);
      parameters.flags = flags;
      fd = operations_.RingSetup(entries, &parameters);
      disabled_ = (flags & kStartsDisabled) != 0;
      if (fd != -EINVAL) break;
    }
    if (fd < 0) return fd;
    fd_ = fd;
    if ((parameters.features & IORING_FEAT_SINGLE_MMAP) == 0) return -ENOSYS;
    const int error = ProbeOpcodes();
    return error < 0 ? error : MapRings(parameters);
  }

  bool RegisterMemory(uint8_t* data, size_t bytes) override {
    iovec all{data, bytes};
    if (operations_.RingRegister(fd_, IORING_REGISTER_BUFFERS, &all, 1) < 0) return false;
    registered_ = data;
    registered_bytes_ = bytes;
    return true;
  }

  void Queue(const TransferCall& call, uint64_t tag) override {
    const uint32_t index = tail_++ & submission_mask_;
    io_uring_sqe* entry = &entries_[index];
    memset(entry, 0, sizeof *entry);
    const bool fixed = registered_ != nullptr && call.memory >= registered_ &&
                       call.memory + call.bytes <= registered_ + registered_bytes_;
    if (fixed) {
      entry->opcode = call.write ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED;
    } else {
      entry->opcode = call.write ? kOpcodeWrite : kOpcodeRead;
    }
    entry->fd = call.fd;
    entry->addr = reinterpret_cast<uint64_t>(call.memory);
    entry->len = static_cast<uint32_t>(std::min<size_t>(call.bytes, size_t{1} << 30));
    entry->off = call.offset;
    entry->user_data = tag;
    submission_indices_[index] = index;
    ++queued_;
  }

  int Submit(unsigned wanted) override {
    if (disabled_) {
      // The thread that enables the ring is the one that may use it from then on.
      const int error = operations_.RingRegister(fd_, kRegisterEnable, nullptr, 0);
      if (error < 0) return error;
      disabled_ = false;
    }
    Store(submission_tail_, tail_);
    unsigned attempts = 0;
    do {
      const int taken = operations_.RingEnter(fd_, queued_, Ready() < wanted ? wanted : 0);
      if (taken > 0 || (taken == 0 && queued_ == 0)) {
        queued_ -= static_cast<unsigned>(taken);
        in_flight_ += static_cast<unsigned>(taken);
        continue;
      }
      if (taken == -EINTR) continue;
      if (taken != 0 && taken != -EAGAIN && taken != -EBUSY) return taken;
      // The kernel is short of something. Completions give it back: the caller should take them.
      if (in_flight_ > 0) {
        const int waited = Ready() > 0 ? 0 : operations_.RingEnter(fd_, 0, 1);
        if (waited >= 0) return 0;
      }
      if (++attempts > kAttemptsMax) return taken == 0 ? -EAGAIN : taken;
      operations_.SleepMilliseconds(kPauseMilliseconds);
    } while (queued_ > 0 || Ready() < wanted);
    return 0;
  }

  bool Pop(Completion* completion) override {
    const uint32_t head = *completion_head_;
    if (head == Load(completion_tail_)) return false;
    const io_uring_cqe& entry = completions_[head & completion_mask_];
    completion->tag = entry.user_data;
    completion->result = entry.res;
    Store(completion_head_, head + 1);
    --in_flight_;
    return true;
  }

 private:
  int ProbeOpcodes() {
    constexpr unsigned kCount = 64;
    std::vector<uint8_t> memory(sizeof(io_uring_probe) + kCount * sizeof(io_uring_probe_op));
    auto* probe = reinterpret_cast<io_uring_probe*>(memory.data());
    const int error = operations_.RingRegister(fd_, kRegisterProbe, probe, kCount);
    if (error < 0) return error == -EINVAL ? -ENOSYS : error;
    for (const uint8_t opcode : {kOpcodeRead, kOpcodeWrite}) {
      if (probe->ops_len <= opcode || (probe->ops[opcode].flags & IO_URING_OP_SUPPORTED) == 0) {
        return -ENOSYS;
      }
    }
    return 0;
  }

  int MapRings(const io_uring_params& parameters) {
    const auto& submission = parameters.sq_off;
    const auto& completion = parameters.cq_off;
    const size_t submission_bytes = submission.array + parameters.sq_entries * sizeof(uint32_t);
    const size_t completion_bytes = completion.cqes + parameters.cq_entries * sizeof(io_uring_cqe);
    int error = rings_.Map(fd_, std::max(submission_bytes, completion_bytes), IORING_OFF_SQ_RING);
    if (error == 0) {
      error = entries_map_.Map(fd_, parameters.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
    }
    if (error < 0) return error;
    submission_tail_ = rings_.At<uint32_t>(submission.tail);
    submission_mask_ = *rings_.At<uint32_t>(submission.ring_mask);
    submission_indices_ = rings_.At<uint32_t>(submission.array);
    completion_head_ = rings_.At<uint32_t>(completion.head);
    completion_tail_ = rings_.At<uint32_t>(completion.tail);
    completion_mask_ = *rings_.At<uint32_t>(completion.ring_mask);
    completions_ = rings_.At<io_uring_cqe>(completion.cqes);
    entries_ = entries_map_.At<io_uring_sqe>(0);
    tail_ = *submission_tail_;
    return 0;
  }

  unsigned Ready() const { return Load(completion_tail_) - *completion_head_; }

  Operations& operations_;
  int fd_ = -1;
  bool disabled_ = false;
  Mapping rings_;
  Mapping entries_map_;
  uint32_t* submission_tail_ = nullptr;
  uint32_t* submission_indices_ = nullptr;
  uint32_t submission_mask_ = 0;
  io_uring_sqe* entries_ = nullptr;
  uint32_t* completion_head_ = nullptr;
  uint32_t* completion_tail_ = nullptr;
  uint32_t completion_mask_ = 0;
  io_uring_cqe* completions_ = nullptr;
  uint32_t tail_ = 0;
  unsigned queued_ = 0;     // entries the kernel has not taken yet
  unsigned in_flight_ = 0;  // and those that it has
  uint8_t* registered_ = nullptr;
  size_t registered_bytes_ = 0;
};

}  // namespace

int OpenSystemRing(Operations& operations, unsigned entries, std::unique_ptr<Ring>* result) {
  auto ring = std::make_unique<SystemRing>(operations);
  const int error = ring->Open(entries);
  if (error < 0) return error;
  *result = std::move(ring);
  return 0;
}

std::string DescribeRingError(int error_number) {
  switch (error_number) {
    case ENOSYS:
      return "this kernel has no io_uring, or one that is too old (ENOSYS)";
    case EPERM:
    case EACCES:
      return "io_uring is forbidden here, by a sandbox or by kernel.io_uring_disabled (" +
             ErrorName(error_number) + ")";
    default:
      return "an io_uring could not be set up (" + ErrorName(error_number) + ")";
  }
}

}  // namespace holdfast
