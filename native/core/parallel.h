// Work on memory by several threads while the caller waits.
#ifndef HOLDFAST_CORE_PARALLEL_H_
#define HOLDFAST_CORE_PARALLEL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace holdfast {

// More threads than this gain nothing: memory is the limit.
inline constexpr unsigned kParallelThreadsMax = 8;
// Less than this per thread is done before another thread has started.
inline constexpr uint64_t kParallelThreadBytes = uint64_t{4} << 20;

// The processors that this process may run on, kParallelThreadsMax at most.
unsigned ParallelThreads();

// Calls job(0) … job(count - 1), each once, on the calling thread and up to `threads` - 1 others,
// and returns when all of them have ended. Every thread takes the next job when it is done with
// one; where no thread can be started, the caller does them all. `job` must not throw.
void RunParallel(size_t count, unsigned threads, const std::function<void(size_t)>& job);

// Ranges cut into parts that can be worked on in any order, and the parts put together into jobs of
// about the same size, so that neither one huge range nor thousands of tiny ones make a thread
// wait for another.
struct ParallelJobs {
  struct Part {
    size_t range;
    uint64_t offset;  // inside the range
    uint64_t bytes;   // never 0
  };
  std::vector<Part> parts;    // in the order of the ranges
  std::vector<size_t> first;  // index of each job's first part; one more at the end

  // `lengths` of the ranges in bytes. A job is at most `job_bytes` (> 0) bytes.
  ParallelJobs(const std::vector<uint64_t>& lengths, uint64_t job_bytes);
  size_t count() const { return first.size() - 1; }
  uint64_t bytes() const { return bytes_; }
  // Calls `work` for every part, by as many of `threads` threads as are worth their start.
  void Run(unsigned threads, const std::function<void(const Part&, size_t index)>& work) const;

 private:
  uint64_t bytes_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_PARALLEL_H_
