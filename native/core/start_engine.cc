#include "core/start_engine.h"

#include <stdlib.h>

#include <utility>

#include "core/caller_engine.h"
#include "core/counters.h"
#include "core/thread_engine.h"
#include "core/uring_engine.h"

namespace holdfast {

namespace {

constexpr EngineKind kKinds[] = {EngineKind::kAuto, EngineKind::kThreads, EngineKind::kUring};

}  // namespace

const char* EngineKindName(EngineKind kind) {
  switch (kind) {
    case EngineKind::kThreads:
      return "threads";
    case EngineKind::kUring:
      return "io_uring";
    default:
      return "auto";
  }
}

bool ParseEngineKind(const std::string& word, EngineKind* kind) {
  for (const EngineKind each : kKinds) {
    if (word != EngineKindName(each)) continue;
    *kind = each;
    return true;
  }
  return false;
}

const EngineWish& WishedEngine() {
  static const EngineWish* const wish = [] {
    auto* const read = new EngineWish;
    const char* const value = getenv("HOLDFAST_IO");
    if (value != nullptr && *value != '\0' && !ParseEngineKind(value, &read->kind)) {
      read->unknown = value;
    }
    return read;
  }();
  return *wish;
}

EngineKind ResolveEngine(EngineKind kind) {
  if (kind == EngineKind::kAuto) kind = WishedEngine().kind;
  return kind == EngineKind::kAuto ? kDefaultEngine : kind;
}

Status StartEngine(Operations& operations, EngineKind kind, Job* job, unsigned queue_depth,
                   std::unique_ptr<Engine>* result) {
  if (ResolveEngine(kind) == EngineKind::kUring && queue_depth != 0) {
    auto engine = std::make_unique<UringEngine>(operations);
    if (engine->Start(job, queue_depth).ok()) {
      *result = std::move(engine);
      return Status::Ok();
    }
    ++counters().ring_refusals;
  }
  if (queue_depth == 0) {
    *result = std::make_unique<CallerEngine>();
    return (*result)->Start(job, 1);
  }
  auto engine = std::make_unique<ThreadEngine>();
  HOLDFAST_RETURN_IF_ERROR(engine->Start(job, queue_depth));
  *result = std::move(engine);
  return Status::Ok();
}

}  // namespace holdfast
