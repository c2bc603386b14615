// Chooses the engine.
#ifndef HOLDFAST_CORE_START_ENGINE_H_
#define HOLDFAST_CORE_START_ENGINE_H_

#include <memory>

#include "core/engine.h"

namespace holdfast {

// Starts `kind`, or threads where no ring can be had.
Status StartEngine(EngineKind kind, Job* job, unsigned queue_depth,
                   std::unique_ptr<Engine>* result);

}  // namespace holdfast

#endif  // HOLDFAST_CORE_START_ENGINE_H_
