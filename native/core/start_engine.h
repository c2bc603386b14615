// Chooses the engine.
#ifndef HOLDFAST_CORE_START_ENGINE_H_
#define HOLDFAST_CORE_START_ENGINE_H_

#include <memory>
#include <string>

#include "core/engine.h"

namespace holdfast {

// What kAuto stands for: io_uring only where `node bench/engines.mjs` shows it to be 5 % better in
// speed or CPU. Figures: docs/ARCHITECTURE.md.
inline constexpr EngineKind kDefaultEngine = EngineKind::kThreads;

// "auto", "threads" or "io_uring"; false for any other word.
bool ParseEngineKind(const std::string& word, EngineKind* kind);
const char* EngineKindName(EngineKind kind);

// What the environment variable HOLDFAST_IO asks for, read at the first call and never again.
struct EngineWish {
  EngineKind kind = EngineKind::kAuto;
  std::string unknown;  // its value, if that is none of the words; `kind` is then kAuto
};
const EngineWish& WishedEngine();

// The kind that is tried for `kind`: not kAuto.
EngineKind ResolveEngine(EngineKind kind);

// Starts `kind`, or threads where no ring can be had: Counters::ring_refusals says how often. With
// a queue depth of 0 nothing is started: the thread that wakes the engine does the work.
Status StartEngine(Operations& operations, EngineKind kind, Job* job, unsigned queue_depth,
                   std::unique_ptr<Engine>* result);

}  // namespace holdfast

#endif  // HOLDFAST_CORE_START_ENGINE_H_
