#include "core/abort.h"

namespace holdfast {

uint64_t AbortTable::Create(uint64_t owner) {
  auto flag = std::make_shared<AbortFlag>(false);
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t token = next_++;
  entries_.emplace(token, Entry{owner, std::move(flag)});
  return token;
}

std::shared_ptr<AbortFlag> AbortTable::Find(uint64_t token) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = entries_.find(token);
  return found == entries_.end() ? nullptr : found->second.flag;
}

bool AbortTable::Release(uint64_t token) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_.erase(token) != 0;
}

void AbortTable::ReleaseOwner(uint64_t owner) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (entry->second.owner == owner) {
      entry->second.flag->store(true);
      entry = entries_.erase(entry);
    } else {
      ++entry;
    }
  }
}

size_t AbortTable::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_.size();
}

AbortTable& AbortTable::Global() {
  static AbortTable* const instance = new AbortTable;
  return *instance;
}

}  // namespace holdfast
