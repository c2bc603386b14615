// Abort flags. A flag is set once and never cleared; native work looks at it between operations and
// between the parts of one, so that it stops within milliseconds.
#ifndef HOLDFAST_CORE_ABORT_H_
#define HOLDFAST_CORE_ABORT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace holdfast {

using AbortFlag = std::atomic<bool>;

// Process-wide flags by handle, so that any thread of JavaScript can abort work of another.
// Thread-safe. A flag that was looked up stays valid after its token is released.
class AbortTable {
 public:
  // `owner` is the environment that made it.
  uint64_t Create(uint64_t owner);
  // Null if there is no such token.
  std::shared_ptr<AbortFlag> Find(uint64_t token) const;
  bool Release(uint64_t token);
  // Aborts and releases every token of an environment that ends.
  void ReleaseOwner(uint64_t owner);
  size_t size() const;

  static AbortTable& Global();

 private:
  struct Entry {
    uint64_t owner;
    std::shared_ptr<AbortFlag> flag;
  };
  mutable std::mutex mutex_;
  std::map<uint64_t, Entry> entries_;
  uint64_t next_ = 1;
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_ABORT_H_
