#include "core/thread_engine.h"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "core/counters.h"

namespace holdfast {

Status StartThread(std::function<void()> body, std::thread* thread) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the new thread
  Status status;
  try {
    try {
      *thread = std::thread(std::move(body));
    } catch (const std::system_error& error) {
      status = Status::System(error.code().value(), "pthread_create", "");
    }
  } catch (const std::bad_alloc&) {  // for the thread, or for the words of the error
    status = Status::OutOfMemory();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

Status ThreadEngine::Start(Job* job, unsigned queue_depth) {
  job_ = job;
  threads_.reserve(queue_depth);
  for (unsigned index = 0; index < queue_depth; ++index) {
    std::thread thread;
    ++counters().threads;
    const Status status = StartThread(
        [this] {
          Run();
          --counters().threads;
        },
        &thread);
    if (!status.ok()) --counters().threads;
    if (!status.ok()) return threads_.empty() ? status : Status::Ok();
    threads_.push_back(std::move(thread));
  }
  return Status::Ok();
}

void ThreadEngine::Wake() {
  bell_.Ring();
}

void ThreadEngine::Join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ThreadEngine::Run() {
  for (;;) {
    const uint64_t seen = bell_.Rings();
    Operation operation;
    Job::Claim claim;
    try {
      claim = job_->TakeOperation(&operation);
    } catch (const std::bad_alloc&) {
      continue;  // nothing was claimed; memory may be there the next time
    }
    if (claim == Job::Claim::kDone) return;
    if (claim == Job::Claim::kOperation) {
      Step(&operation);
      continue;
    }
    bell_.WaitAfter(seen);
  }
}

bool ThreadEngine::Step(Operation* operation) {
  Status status;
  try {
    status = job_->Before(operation);
    if (status.ok() && operation->bytes != 0) {
      if (operation->kind == Operation::Kind::kWrite) {
        status = operation->file->WriteAt(operation->memory, operation->bytes, operation->offset);
      } else {
        status = operation->file->ReadAt(operation->memory, operation->bytes, operation->needed,
                                         operation->offset, &operation->transferred);
      }
      if (status.ok()) status = job_->After(operation);
    }
  } catch (const std::bad_alloc&) {
    status = Status::OutOfMemory();
  }
  if (!status.ok()) job_->Failed(operation, status);
  return status.ok();
}

}  // namespace holdfast
