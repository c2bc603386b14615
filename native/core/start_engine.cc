#include "core/start_engine.h"

#include <utility>

#include "core/thread_engine.h"
#include "core/uring_engine.h"

namespace holdfast {

Status StartEngine(EngineKind kind, Job* job, unsigned queue_depth,
                   std::unique_ptr<Engine>* result) {
  if (kind == EngineKind::kUring) {
    auto engine = std::make_unique<UringEngine>();
    if (engine->Start(job, queue_depth).ok()) {
      *result = std::move(engine);
      return Status::Ok();
    }
  }
  auto engine = std::make_unique<ThreadEngine>();
  HOLDFAST_RETURN_IF_ERROR(engine->Start(job, queue_depth));
  *result = std::move(engine);
  return Status::Ok();
}

}  // namespace holdfast
