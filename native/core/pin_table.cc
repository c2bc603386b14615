#include "core/pin_table.h"

#include <algorithm>
#include <utility>

namespace holdfast {

PinLease& PinLease::operator=(PinLease&& other) noexcept {
  if (this != &other) {
    Release();
    table_ = std::exchange(other.table_, nullptr);
    pin_ = std::move(other.pin_);
    other.pin_ = nullptr;
  }
  return *this;
}

void PinLease::Release() {
  if (pin_ == nullptr) return;
  std::exchange(table_, nullptr)->ReleaseLease(std::exchange(pin_, nullptr));
}

uint64_t PinTable::Add(uint64_t owner, uint8_t* data, uint64_t bytes, PinKind kind) {
  auto pin = std::make_shared<Pin>();
  pin->data = data;
  pin->bytes = bytes;
  pin->owner = owner;
  pin->kind_ = kind;
  const std::lock_guard<std::mutex> lock(mutex_);
  pin->handle = next_++;
  pins_.emplace(pin->handle, pin);
  by_owner_[owner].emplace(pin->handle, pin);
  return pin->handle;
}

PinLease PinTable::Acquire(uint64_t handle) {
  PinLease lease;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = pins_.find(handle);
  if (found == pins_.end() || found->second->revoked.load()) return lease;
  ++found->second->leases;
  lease.table_ = this;
  lease.pin_ = found->second;
  return lease;
}

PinTable::UnpinResult PinTable::Unpin(uint64_t handle, uint64_t owner,
                                      std::function<void()> on_last_lease) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = pins_.find(handle);
  if (found == pins_.end()) return UnpinResult::kUnknown;
  const std::shared_ptr<Pin> pin = found->second;
  if (pin->owner != owner) return UnpinResult::kNotOwner;
  pins_.erase(found);
  if (pin->leases != 0) {
    pin->on_last_lease_ = std::move(on_last_lease);
    return UnpinResult::kDeferred;
  }
  by_owner_[owner].erase(handle);
  return UnpinResult::kReleased;
}

bool PinTable::Owns(uint64_t handle, uint64_t owner) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = pins_.find(handle);
  return found != pins_.end() && found->second->owner == owner;
}

void PinTable::Revoke(uint64_t owner) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_owner_.find(owner);
  if (found == by_owner_.end()) return;
  for (auto& [handle, pin] : found->second) {
    pin->revoked.store(true);
    // The owner's references go with its environment; there is nobody left to call.
    pin->on_last_lease_ = nullptr;
    pins_.erase(handle);
  }
  revocations_.fetch_add(1, std::memory_order_release);
}

void PinTable::WaitUntilUnused(uint64_t owner) {
  std::unique_lock<std::mutex> lock(mutex_);
  lease_released_.wait(lock, [&] {
    const auto found = by_owner_.find(owner);
    if (found == by_owner_.end()) return true;
    for (const auto& [handle, pin] : found->second) {
      if (pin->leases != 0) return false;
    }
    return true;
  });
  by_owner_.erase(owner);
}

void PinTable::ReleaseLease(const std::shared_ptr<Pin>& pin) {
  std::function<void()> last;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--pin->leases != 0) return;
    last = std::exchange(pin->on_last_lease_, nullptr);
    if (last) {
      const auto owner = by_owner_.find(pin->owner);
      if (owner != by_owner_.end()) owner->second.erase(pin->handle);
    }
    if (pin->revoked.load()) lease_released_.notify_all();
  }
  if (last) last();
}

const Pin* LeaseSet::Acquire(uint64_t handle) {
  const auto found = by_handle_.find(handle);
  if (found != by_handle_.end()) return found->second;
  PinLease lease = PinTable::Global().Acquire(handle);
  if (!lease) return nullptr;
  const Pin* pin = &*lease;
  leases_.push_back(std::move(lease));
  by_handle_.emplace(handle, pin);
  return pin;
}

bool LeaseSet::Intact() {
  const uint64_t now = PinTable::Global().revocations();
  if (now == seen_.load(std::memory_order_acquire)) return true;
  for (const PinLease& lease : leases_) {
    if (lease->revoked.load(std::memory_order_acquire)) return false;
  }
  // Only after the look: another thread must not take an unfinished look for a finished one.
  seen_.store(now, std::memory_order_release);
  return true;
}

size_t PinTable::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<size_t>(std::count_if(pins_.begin(), pins_.end(), [](const auto& entry) {
    return entry.second->kind_ == PinKind::kCaller;
  }));
}

PinTable& PinTable::Global() {
  static PinTable* const instance = new PinTable;
  return *instance;
}

}  // namespace holdfast
