// Tells waiting threads that there may be something new.
//
// A thread asks how often it rang, looks for work, and if there is none waits for the next ring
// after the one it knew of: a ring in between is not lost.
#ifndef HOLDFAST_CORE_BELL_H_
#define HOLDFAST_CORE_BELL_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace holdfast {

class Bell {
 public:
  void Ring() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++rings_;
    }
    rung_.notify_all();
  }
  uint64_t Rings() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return rings_;
  }
  void WaitAfter(uint64_t seen) {
    std::unique_lock<std::mutex> lock(mutex_);
    rung_.wait(lock, [&] { return rings_ != seen; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable rung_;
  uint64_t rings_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_BELL_H_
