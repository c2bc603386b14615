#include "core/arena.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/counters.h"
#include "core/parallel.h"

namespace holdfast {

namespace {

// Between two looks at whether anyone still wants it; a few milliseconds.
constexpr uint64_t kPrefaultStepBytes = uint64_t{16} << 20;

}  // namespace

Status ArenaTable::Create(uint64_t owner, uint64_t bytes, uint64_t* handle) {
  AlignedMemory memory;
  HOLDFAST_RETURN_IF_ERROR(AlignedMemory::Allocate(std::max<uint64_t>(bytes, kHugePageBytes),
                                                   &memory, &Counters::arena_bytes));
  auto released = std::make_shared<AbortFlag>(false);
  const std::lock_guard<std::mutex> lock(mutex_);
  *handle = pins_->Add(owner, memory.data(), bytes, PinKind::kArena);
  entries_.emplace(*handle, Entry{owner, std::move(memory), std::move(released)});
  return Status::Ok();
}

bool ArenaTable::Find(uint64_t handle, uint64_t owner, ArenaLease* result) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = entries_.find(handle);
  if (found == entries_.end() || found->second.owner != owner) return false;
  result->memory = pins_->Acquire(handle);
  result->released = found->second.released;
  return static_cast<bool>(result->memory);
}

bool ArenaTable::Release(uint64_t handle, uint64_t owner) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(handle);
    if (found == entries_.end() || found->second.owner != owner) return false;
    if (found->second.released->exchange(true)) return false;
  }
  // Without the lock: the callback takes it, and may come at once from another thread.
  const auto result = pins_->Unpin(handle, owner, [this, handle] { Free(handle); });
  if (result != PinTable::UnpinResult::kDeferred) Free(handle);
  return true;
}

void ArenaTable::Free(uint64_t handle) {
  AlignedMemory memory;  // unmapped without the lock: that takes a while
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = entries_.find(handle);
  if (found == entries_.end()) return;
  memory = std::move(found->second.memory);
  entries_.erase(found);
}

void ArenaTable::CloseOwner(uint64_t owner) {
  std::vector<AlignedMemory> leaving;
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const bool owned = entry->second.owner == owner;
    if (owned) leaving.push_back(std::move(entry->second.memory));
    entry = owned ? entries_.erase(entry) : std::next(entry);
  }
}

size_t ArenaTable::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_.size();
}

ArenaTable& ArenaTable::Global() {
  static ArenaTable* const instance = new ArenaTable(&PinTable::Global());
  return *instance;
}

Status Prefault(const ArenaLease& arena) {
  const Pin& pin = *arena.memory;
  std::mutex mutex;
  Status failure;
  const size_t steps = (pin.bytes + kPrefaultStepBytes - 1) / kPrefaultStepBytes;
  RunParallel(steps, ParallelThreads(), [&](size_t step) {
    Status status;
    if (pin.revoked.load() || arena.released->load()) {
      status = Status::Aborted();
    } else {
      const uint64_t offset = step * kPrefaultStepBytes;
      status = FaultIn(pin.data + offset, std::min(kPrefaultStepBytes, pin.bytes - offset));
    }
    if (status.ok()) return;
    const std::lock_guard<std::mutex> lock(mutex);
    if (failure.ok()) failure = status;
  });
  return failure;
}

}  // namespace holdfast
