#include "core/perform.h"

#include <new>

namespace holdfast {

Job::Claim ClaimOperation(Job* job, Operation* operation) {
  for (;;) {
    try {
      return job->TakeOperation(operation);
    } catch (const std::bad_alloc&) {
      // Memory may be there the next time.
    }
  }
}

void PerformOperation(Job* job, Operation* operation) {
  Status status;
  try {
    status = job->Before(operation);
    if (status.ok() && operation->bytes != 0) {
      if (operation->kind == Operation::Kind::kWrite) {
        status = operation->file->WriteAt(operation->memory, operation->bytes, operation->offset);
      } else {
        status = operation->file->ReadAt(operation->memory, operation->bytes, operation->needed,
                                         operation->offset, &operation->transferred);
      }
      if (status.ok()) status = job->After(operation);
    }
  } catch (const std::bad_alloc&) {
    status = Status::OutOfMemory();
  }
  if (!status.ok()) job->Failed(operation, status);
}

}  // namespace holdfast
