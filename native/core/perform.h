// One operation after the other in the thread that calls: positional calls that block.
#ifndef HOLDFAST_CORE_PERFORM_H_
#define HOLDFAST_CORE_PERFORM_H_

#include "core/engine.h"

namespace holdfast {

// As Job::TakeOperation, and again where there was no memory for it: nothing was claimed then.
Job::Claim ClaimOperation(Job* job, Operation* operation);
// Fills, transfers and takes over, or tells the job that it failed.
void PerformOperation(Job* job, Operation* operation);

}  // namespace holdfast

#endif  // HOLDFAST_CORE_PERFORM_H_
