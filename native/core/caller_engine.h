// Positional calls by the thread that wakes the engine: for a file of one operation, where a thread
// of its own costs more than the operation's wait.
#ifndef HOLDFAST_CORE_CALLER_ENGINE_H_
#define HOLDFAST_CORE_CALLER_ENGINE_H_

#include <thread>

#include "core/engine.h"

namespace holdfast {

// Only the thread that made it works: another one may wake it, to no effect. The depth is always 1.
class CallerEngine : public Engine {
 public:
  EngineKind kind() const override { return EngineKind::kThreads; }
  Status Start(Job* job, unsigned queue_depth) override;
  void Wake() override;
  void Join() override {}

 private:
  Job* job_ = nullptr;
  const std::thread::id owner_ = std::this_thread::get_id();
  bool working_ = false;  // only ever looked at by the owner
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_CALLER_ENGINE_H_
