#include "core/uring_engine.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/counters.h"
#include "core/thread_engine.h"

namespace holdfast {

namespace {

// One thread copies and checksums faster than any single disk writes; more serve arrays of disks.
constexpr unsigned kThreadsMax = 4;

}  // namespace

// An operation between its claim and its end.
struct UringEngine::Flight {
  Operation operation;
  Transfer transfer;
};

class UringEngine::Loop {
 public:
  Loop(UringEngine* engine, Job* job, unsigned depth) : engine_(*engine), job_(*job) {
    flights_.resize(depth);
    for (Flight& flight : flights_) free_.push_back(&flight);
  }

  int Open(Operations& operations) {
    const int error = operations.OpenRing(static_cast<unsigned>(flights_.size()), &ring_);
    if (error < 0) return error;
    const Job::Memory staging = job_.Staging();
    // Only a help: without it the kernel looks the pages up for every call.
    if (staging.bytes != 0) (void)ring_->RegisterMemory(staging.data, staging.bytes);
    return 0;
  }

  // Enters the ring with nothing, on the thread that will use it: some sandboxes allow a ring to be
  // set up, but not that. Better known now than with the first bytes.
  int Try() { return ring_->Submit(0); }

  void Run() {
    for (;;) {
      const uint64_t seen = engine_.bell_.Rings();
      const Job::Claim claim = Fill();
      if (in_flight() > 0) {
        Advance(claim == Job::Claim::kOperation ? 0 : 1);
      } else if (claim == Job::Claim::kDone) {
        return;
      } else if (claim == Job::Claim::kWait) {
        engine_.bell_.WaitAfter(seen);
      }
    }
  }

 private:
  size_t in_flight() const { return flights_.size() - free_.size(); }

  // Claims one operation, if there is room for it, and puts it into the ring. kWait: there is no
  // room, or nothing to claim for now.
  Job::Claim Fill() {
    if (free_.empty()) return Job::Claim::kWait;
    Flight* flight = free_.back();
    flight->operation = Operation{};
    Job::Claim claim;
    try {
      claim = job_.TakeOperation(&flight->operation);
    } catch (const std::bad_alloc&) {
      return Job::Claim::kOperation;  // nothing was claimed; memory may be there the next time
    }
    if (claim != Job::Claim::kOperation) return claim;
    free_.pop_back();
    Guarded(flight, [&] {
      HOLDFAST_RETURN_IF_ERROR(broken_);
      HOLDFAST_RETURN_IF_ERROR(job_.Before(&flight->operation));
      return Begin(flight);
    });
    return claim;
  }

  Status Begin(Flight* flight) {
    const Operation& operation = flight->operation;
    if (operation.bytes == 0) {
      free_.push_back(flight);
      return Status::Ok();
    }
    Transfer transfer;
    transfer.write = operation.kind == Operation::Kind::kWrite;
    transfer.memory = operation.memory;
    transfer.bytes = operation.bytes;
    transfer.needed = transfer.write ? operation.bytes : operation.needed;
    transfer.offset = operation.offset;
    flight->transfer = std::move(transfer);
    return Continue(flight);
  }

  // Puts the next call of a transfer into the ring, or ends it.
  Status Continue(Flight* flight) {
    TransferCall call;
    if (flight->operation.file->NextCall(&flight->transfer, &call)) {
      ring_->Queue(call, reinterpret_cast<uintptr_t>(flight));
      return Status::Ok();
    }
    HOLDFAST_RETURN_IF_ERROR(flight->transfer.status);
    flight->operation.transferred = flight->transfer.transferred;
    HOLDFAST_RETURN_IF_ERROR(job_.After(&flight->operation));
    free_.push_back(flight);
    return Status::Ok();
  }

  // Submits, waits for `wanted` completions, and goes on with what has been completed.
  void Advance(unsigned wanted) {
    const int error = ring_->Submit(wanted);
    if (error < 0) return Break(error);
    Ring::Completion completion;
    while (ring_->Pop(&completion)) {
      Flight* flight = reinterpret_cast<Flight*>(static_cast<uintptr_t>(completion.tag));
      Guarded(flight, [&] {
        flight->operation.file->TakeResult(&flight->transfer, completion.result);
        return Continue(flight);
      });
    }
  }

  // A ring that cannot be entered tells no more of what is in flight: the kernel may go on with it.
  void Break(int error) {
    try {
      broken_ = Status::System(-error, "io_uring_enter", "");
    } catch (const std::bad_alloc&) {
      broken_ = Status::OutOfMemory();
    }
    job_.KeepStaging();
    for (Flight& flight : flights_) {
      if (std::find(free_.begin(), free_.end(), &flight) != free_.end()) continue;
      free_.push_back(&flight);
      job_.Failed(&flight.operation, broken_);
    }
  }

  // Runs a step of an operation, after which it is in the ring or over: in `free_`, unless the step
  // failed.
  template <typename Body>
  void Guarded(Flight* flight, Body body) {
    Status status;
    try {
      status = body();
    } catch (const std::bad_alloc&) {
      status = Status::OutOfMemory();
    }
    if (status.ok()) return;
    free_.push_back(flight);
    job_.Failed(&flight->operation, status);
  }

  UringEngine& engine_;
  Job& job_;
  std::vector<Flight> flights_;
  std::vector<Flight*> free_;
  std::unique_ptr<Ring> ring_;
  Status broken_;
};

UringEngine::UringEngine(Operations& operations) : operations_(operations) {}

UringEngine::~UringEngine() {
  Join();
}

Status UringEngine::Start(Job* job, unsigned queue_depth) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const unsigned count = std::min({kThreadsMax, cores, queue_depth});
  for (unsigned index = 0; index < count; ++index) {
    const unsigned depth = queue_depth / count + (index < queue_depth % count ? 1 : 0);
    auto loop = std::make_unique<Loop>(this, job, depth);
    const int error = loop->Open(operations_);
    if (error < 0) return Status::System(-error, "io_uring_setup", "");
    loops_.push_back(std::move(loop));
  }
  const Status started = StartThreads();
  std::unique_lock<std::mutex> lock(mutex_);
  tried_changed_.wait(lock, [&] { return tried_ == threads_.size(); });
  if (started.ok() && refused_ < 0) return Status::System(-refused_, "io_uring_enter", "");
  decided_ = true;
  tried_changed_.notify_all();
  return started;
}

// Starts as many as it can get, at least one, else the error of the first.
Status UringEngine::StartThreads() {
  threads_.reserve(loops_.size());
  for (const std::unique_ptr<Loop>& loop : loops_) {
    std::thread thread;
    ++counters().threads;
    const Status status = StartThread(
        [this, loop = loop.get()] {
          RunLoop(loop);
          --counters().threads;
        },
        &thread);
    if (!status.ok()) --counters().threads;
    if (!status.ok()) return threads_.empty() ? status : Status::Ok();
    threads_.push_back(std::move(thread));
  }
  return Status::Ok();
}

void UringEngine::RunLoop(Loop* loop) {
  const int error = loop->Try();
  {
    std::unique_lock<std::mutex> lock(mutex_);
    ++tried_;
    if (error < 0) refused_ = error;
    tried_changed_.notify_all();
    tried_changed_.wait(lock, [&] { return decided_ || refused_ < 0; });
    if (refused_ < 0) return;
  }
  loop->Run();
}

void UringEngine::Wake() {
  bell_.Ring();
}

void UringEngine::Join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  loops_.clear();
}

}  // namespace holdfast
