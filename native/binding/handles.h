// Writers, readers and locks by handle, for the whole process: a handle made in one worker works in
// another. Each belongs to the environment that made it and ends with it.
#ifndef HOLDFAST_BINDING_HANDLES_H_
#define HOLDFAST_BINDING_HANDLES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "core/stream_reader.h"
#include "core/stream_writer.h"

namespace holdfast {

// Thread-safe. A null pointer or false means that there is no such handle.
class Handles {
 public:
  uint64_t AddWriter(uint64_t owner, std::shared_ptr<StreamWriter> writer);
  uint64_t AddReader(uint64_t owner, std::shared_ptr<StreamReader> reader);
  uint64_t AddLock(uint64_t owner, int fd);

  std::shared_ptr<StreamWriter> FindWriter(uint64_t handle) const;
  std::shared_ptr<StreamReader> FindReader(uint64_t handle) const;
  // These also forget it.
  std::shared_ptr<StreamWriter> TakeWriter(uint64_t handle);
  std::shared_ptr<StreamReader> TakeReader(uint64_t handle);
  bool TakeLock(uint64_t handle, int* fd);

  // Stops and lets go everything of an environment, and makes the writers of others fail that are
  // about to read memory of it.
  void CloseOwner(uint64_t owner);

  size_t writers() const;
  size_t readers() const;

  static Handles& Global();

 private:
  template <typename Value>
  struct Entry {
    uint64_t owner;
    Value value;
  };
  template <typename Value>
  using Table = std::map<uint64_t, Entry<Value>>;

  mutable std::mutex mutex_;
  uint64_t next_ = 1;
  Table<std::shared_ptr<StreamWriter>> writers_;
  Table<std::shared_ptr<StreamReader>> readers_;
  Table<int> locks_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BINDING_HANDLES_H_
