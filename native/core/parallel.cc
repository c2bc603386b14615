#include "core/parallel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "core/counters.h"
#include "core/thread_engine.h"

namespace holdfast {

unsigned ParallelThreads() {
  // The C++ library asks for the processors that the scheduler allows, not for those of the
  // machine.
  static const unsigned count =
      std::clamp(std::thread::hardware_concurrency(), 1U, kParallelThreadsMax);
  return count;
}

void RunParallel(size_t count, unsigned threads, const std::function<void(size_t)>& job) {
  std::atomic<size_t> next{0};
  const auto take = [&] {
    for (size_t index; (index = next.fetch_add(1, std::memory_order_relaxed)) < count;) job(index);
  };
  std::array<std::thread, kParallelThreadsMax> helpers;
  const size_t wanted = std::min<size_t>({threads, count, helpers.size()});
  size_t started = 0;
  while (started + 1 < wanted) {
    const Status status = StartThread(
        [&] {
          ++counters().threads;
          take();
          --counters().threads;
        },
        &helpers[started]);
    if (!status.ok()) break;  // fewer threads, or this one alone
    ++started;
  }
  take();
  for (size_t index = 0; index < started; ++index) helpers[index].join();
}

ParallelJobs::ParallelJobs(const std::vector<uint64_t>& lengths, uint64_t job_bytes) {
  first.push_back(0);
  uint64_t room = job_bytes;
  for (size_t range = 0; range < lengths.size(); ++range) {
    bytes_ += lengths[range];
    for (uint64_t offset = 0; offset < lengths[range];) {
      if (room == 0) {
        first.push_back(parts.size());
        room = job_bytes;
      }
      const uint64_t bytes = std::min(room, lengths[range] - offset);
      parts.push_back({range, offset, bytes});
      offset += bytes;
      room -= bytes;
    }
  }
  if (!parts.empty()) first.push_back(parts.size());
}

void ParallelJobs::Run(unsigned threads,
                       const std::function<void(const Part&, size_t index)>& work) const {
  const auto worthwhile =
      static_cast<unsigned>(std::min<uint64_t>(threads, bytes_ / kParallelThreadBytes));
  RunParallel(count(), worthwhile, [&](size_t job) {
    for (size_t index = first[job]; index < first[job + 1]; ++index) work(parts[index], index);
  });
}

}  // namespace holdfast
