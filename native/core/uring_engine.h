// The engine on io_uring: a few threads, as many as copying and checksumming need, each with a ring
// that keeps its transfers in flight.
#ifndef HOLDFAST_CORE_URING_ENGINE_H_
#define HOLDFAST_CORE_URING_ENGINE_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/engine.h"
#include "core/ring.h"

namespace holdfast {

class UringEngine : public Engine {
 public:
  UringEngine();
  ~UringEngine() override;
  // Nothing is started where a ring cannot be had.
  Status Start(Job* job, unsigned queue_depth) override;
  void Wake() override;
  void Join() override;

 private:
  struct Flight;
  class Loop;

  uint64_t Wakes();
  void WaitForWake(uint64_t seen);

  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable woken_;
  uint64_t wakes_ = 0;  // guarded by mutex_
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_URING_ENGINE_H_
