// The engine on io_uring: a few threads, as many as copying and checksumming need, each with a ring
// that keeps its transfers in flight.
#ifndef HOLDFAST_CORE_URING_ENGINE_H_
#define HOLDFAST_CORE_URING_ENGINE_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/bell.h"
#include "core/engine.h"
#include "core/ring.h"

namespace holdfast {

class UringEngine : public Engine {
 public:
  // `operations` must outlive the engine.
  explicit UringEngine(Operations& operations);
  ~UringEngine() override;
  EngineKind kind() const override { return EngineKind::kUring; }
  // An error where a ring cannot be had, or may not be used.
  Status Start(Job* job, unsigned queue_depth) override;
  void Wake() override;
  void Join() override;

 private:
  struct Flight;
  class Loop;

  Status StartThreads();
  void RunLoop(Loop* loop);

  Operations& operations_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::thread> threads_;
  Bell bell_;
  std::mutex mutex_;  // guards everything below
  std::condition_variable tried_changed_;
  size_t tried_ = 0;      // threads that have entered their ring for the first time
  int refused_ = 0;       // a negative errno, if one of them could not
  bool decided_ = false;  // whether the engine can be used
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_URING_ENGINE_H_
