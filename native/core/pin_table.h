// Memory that JavaScript owns and native threads read or fill, by handle.
//
// Lifetimes: the owning environment keeps the memory alive through a reference of its own for as
// long as the pin exists, and after unpinning until no lease is left. A PinLease is a native user
// of the memory. When an environment ends, Revoke() makes running users stop at their next look,
// and WaitUntilUnused() returns once every lease on the environment's memory is gone; only then may
// the memory go.
#ifndef HOLDFAST_CORE_PIN_TABLE_H_
#define HOLDFAST_CORE_PIN_TABLE_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace holdfast {

class PinTable;

// Whose the memory is: a caller's, or an arena (arena.h).
enum class PinKind { kCaller, kArena };

// One pinned region. Its address and length never change.
struct Pin {
  uint8_t* data = nullptr;
  uint64_t bytes = 0;
  uint64_t owner = 0;
  uint64_t handle = 0;
  // True once the owner ends: a user must stop before it touches the memory again.
  std::atomic<bool> revoked{false};

 private:
  friend class PinTable;
  PinKind kind_ = PinKind::kCaller;
  uint64_t leases = 0;                   // guarded by the table's mutex
  std::function<void()> on_last_lease_;  // set by Unpin while leases are out
};

// Keeps a region from being let go. Movable; may be destroyed on any thread.
class PinLease {
 public:
  PinLease() = default;
  ~PinLease() { Release(); }
  PinLease(PinLease&& other) noexcept { *this = std::move(other); }
  PinLease& operator=(PinLease&& other) noexcept;
  PinLease(const PinLease&) = delete;
  PinLease& operator=(const PinLease&) = delete;

  explicit operator bool() const { return pin_ != nullptr; }
  const Pin& operator*() const { return *pin_; }
  const Pin* operator->() const { return pin_.get(); }
  void Release();

 private:
  friend class PinTable;
  PinTable* table_ = nullptr;
  std::shared_ptr<Pin> pin_;
};

// Thread-safe.
class PinTable {
 public:
  enum class UnpinResult { kUnknown, kNotOwner, kReleased, kDeferred };

  uint64_t Add(uint64_t owner, uint8_t* data, uint64_t bytes, PinKind kind = PinKind::kCaller);
  // An empty lease if the handle is unknown or its owner is ending.
  PinLease Acquire(uint64_t handle);
  // Forgets the handle at once. kReleased: the memory may be let go now. kDeferred: native threads
  // still use it; `on_last_lease` will be called, on some thread, when they are done.
  UnpinResult Unpin(uint64_t handle, uint64_t owner, std::function<void()> on_last_lease);
  // Whether `handle` is a pin of `owner`.
  bool Owns(uint64_t handle, uint64_t owner) const;
  // Revokes all memory of an environment.
  void Revoke(uint64_t owner);
  // After Revoke. Returns when no native thread can touch that memory any more.
  void WaitUntilUnused(uint64_t owner);
  // Pins of callers' memory.
  size_t size() const;
  // Counts the calls of Revoke: as long as it stands still, no lease was revoked.
  uint64_t revocations() const { return revocations_.load(std::memory_order_acquire); }

  static PinTable& Global();

 private:
  friend class PinLease;
  void ReleaseLease(const std::shared_ptr<Pin>& pin);

  mutable std::mutex mutex_;
  std::condition_variable lease_released_;
  std::unordered_map<uint64_t, std::shared_ptr<Pin>> pins_;
  // Pins by owner, unpinned ones with leases out included.
  std::unordered_map<uint64_t, std::unordered_map<uint64_t, std::shared_ptr<Pin>>> by_owner_;
  uint64_t next_ = 1;
  std::atomic<uint64_t> revocations_{0};
};

// All memory that one piece of native work uses. Acquire from one thread, then Intact from any.
class LeaseSet {
 public:
  LeaseSet() : seen_(PinTable::Global().revocations()) {}

  // Null if the handle is unknown or its owner is ending. Valid for the life of this set.
  const Pin* Acquire(uint64_t handle);
  // False once the owner of any of it ends: stop, touch none of it, and destroy this set. Costs one
  // load as long as no environment ends.
  bool Intact();

 private:
  std::atomic<uint64_t> seen_;
  std::vector<PinLease> leases_;
  std::unordered_map<uint64_t, const Pin*> by_handle_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_PIN_TABLE_H_
