// The engine on plain threads: each claims an operation, fills, transfers, takes over, and goes on.
#ifndef HOLDFAST_CORE_THREAD_ENGINE_H_
#define HOLDFAST_CORE_THREAD_ENGINE_H_

#include <functional>
#include <thread>
#include <vector>

#include "core/bell.h"
#include "core/engine.h"

namespace holdfast {

class ThreadEngine : public Engine {
 public:
  ~ThreadEngine() override { Join(); }
  EngineKind kind() const override { return EngineKind::kThreads; }
  // Starts as many threads as it can get, at least one, else the error of the first.
  Status Start(Job* job, unsigned queue_depth) override;
  void Wake() override;
  void Join() override;

 private:
  void Run();

  Job* job_ = nullptr;
  std::vector<std::thread> threads_;
  Bell bell_;
};

// Runs `body` on a new thread that has every signal blocked: signal handlers of the host must not
// run on it, and a write over a file-size limit must give EFBIG instead of killing the process.
// Throws nothing: its callers have threads running already, which nobody else would wait for.
Status StartThread(std::function<void()> body, std::thread* thread);

}  // namespace holdfast

#endif  // HOLDFAST_CORE_THREAD_ENGINE_H_
