#include "core/thread_engine.h"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "core/counters.h"
#include "core/perform.h"

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
    const Job::Claim claim = ClaimOperation(job_, &operation);
    if (claim == Job::Claim::kDone) return;
    if (claim == Job::Claim::kOperation) {
      PerformOperation(job_, &operation);
      continue;
    }
    bell_.WaitAfter(seen);
  }
}

}  // namespace holdfast
