#include "binding/handles.h"

#include <chrono>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "core/system_probe.h"
#include "core/thread_engine.h"

namespace holdfast {

namespace {

template <typename Table>
auto Find(const Table& table, uint64_t handle) {
  const auto found = table.find(handle);
  return found == table.end() ? nullptr : found->second.value;
}

template <typename Table>
auto Take(Table& table, uint64_t handle) {
  auto value = Find(table, handle);
  table.erase(handle);
  return value;
}

}  // namespace

uint64_t Handles::AddWriter(uint64_t owner, std::shared_ptr<StreamWriter> writer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  writers_.emplace(next_, Entry<std::shared_ptr<StreamWriter>>{owner, std::move(writer)});
  return next_++;
}

uint64_t Handles::AddReader(uint64_t owner, std::shared_ptr<StreamReader> reader) {
  const std::lock_guard<std::mutex> lock(mutex_);
  readers_.emplace(next_, Entry<std::shared_ptr<StreamReader>>{owner, std::move(reader)});
  return next_++;
}

uint64_t Handles::AddLock(uint64_t owner, int fd) {
  const std::lock_guard<std::mutex> lock(mutex_);
  locks_.emplace(next_, Entry<int>{owner, fd});
  return next_++;
}

std::shared_ptr<StreamWriter> Handles::FindWriter(uint64_t handle) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Find(writers_, handle);
}

std::shared_ptr<StreamReader> Handles::FindReader(uint64_t handle) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Find(readers_, handle);
}

std::shared_ptr<StreamWriter> Handles::TakeWriter(uint64_t handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Take(writers_, handle);
}

std::shared_ptr<StreamReader> Handles::TakeReader(uint64_t handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Take(readers_, handle);
}

bool Handles::TakeLock(uint64_t handle, int* fd) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = locks_.find(handle);
  if (found == locks_.end()) return false;
  *fd = found->second.value;
  locks_.erase(found);
  return true;
}

void Handles::CloseOwner(uint64_t owner) {
  std::vector<std::shared_ptr<StreamWriter>> mine, others;
  std::vector<std::shared_ptr<StreamReader>> readers;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto entry = writers_.begin(); entry != writers_.end();) {
      const bool owned = entry->second.owner == owner;
      (owned ? mine : others).push_back(entry->second.value);
      entry = owned ? writers_.erase(entry) : std::next(entry);
    }
    for (auto entry = readers_.begin(); entry != readers_.end();) {
      const bool owned = entry->second.owner == owner;
      if (owned) readers.push_back(entry->second.value);
      entry = owned ? readers_.erase(entry) : std::next(entry);
    }
    for (auto entry = locks_.begin(); entry != locks_.end();) {
      const bool owned = entry->second.owner == owner;
      if (owned) UnlockFile(entry->second.value);
      entry = owned ? locks_.erase(entry) : std::next(entry);
    }
  }
  for (const auto& writer : others) writer->DropRevokedSources();
  for (const auto& reader : readers) reader->Abort();
  for (const auto& writer : mine) writer->Abort();
  if (mine.empty()) return;
  // Destroying a writer joins its threads, which end after the operation they are in. They hold no
  // memory of JavaScript any more, so a device that does not answer may keep them, but not us.
  auto joined = std::make_shared<std::promise<void>>();
  std::future<void> waiting = joined->get_future();
  std::thread thread;
  const Status status = StartThread(
      [joined, writers = std::move(mine)]() mutable {
        writers.clear();
        joined->set_value();
      },
      &thread);
  if (!status.ok()) return;
  thread.detach();
  (void)waiting.wait_for(std::chrono::milliseconds(500));
}

size_t Handles::writers() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return writers_.size();
}

size_t Handles::readers() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return readers_.size();
}

Handles& Handles::Global() {
  static Handles* const instance = new Handles;
  return *instance;
}

}  // namespace holdfast
