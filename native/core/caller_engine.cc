#include "core/caller_engine.h"

#include "core/perform.h"

namespace holdfast {

Status CallerEngine::Start(Job* job, unsigned) {
  job_ = job;
  return Status::Ok();
}

void CallerEngine::Wake() {
  // An operation may wake the engine itself: the loop below goes on anyway.
  if (std::this_thread::get_id() != owner_ || working_) return;
  working_ = true;
  Operation operation;
  while (ClaimOperation(job_, &operation) == Job::Claim::kOperation) {
    PerformOperation(job_, &operation);
  }
  working_ = false;
}

}  // namespace holdfast
