#include "core/parallel.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "core/bulk_copy.h"
#include "core/counters.h"
#include "core/parallel_copy.h"
#include "core/thread_engine.h"
#include "test/test_files.h"

namespace holdfast {
namespace {

constexpr uint64_t kSafeMax = (uint64_t{1} << 53) - 1;

TEST(RunParallelTest, EveryJobOnceAndTheCallerHelps) {
  for (const unsigned threads : {0U, 1U, 2U, 5U, 8U, 1000U}) {
    for (const size_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(count);
      RunParallel(count, threads, [&](size_t index) { ++calls[index]; });
      for (const auto& each : calls) EXPECT_EQ(each.load(), 1);
    }
  }
  EXPECT_EQ(counters().threads.load(), 0);
}

TEST(RunParallelTest, JobsRunAtTheSameTime) {
  std::atomic<int> inside{0};
  // Each waits for the other two.
  RunParallel(3, 3, [&](size_t) {
    ++inside;
    while (inside.load() < 3) std::this_thread::yield();
  });
  EXPECT_EQ(inside.load(), 3);
}

TEST(RunParallelTest, TheCallerDoesEverythingWhereNoThreadStarts) {
  pthread_attr_t before, huge;
  pthread_getattr_default_np(&before);
  pthread_attr_init(&huge);
  pthread_attr_setstacksize(&huge, size_t{1} << 46);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  std::thread thread;
  const Status status = StartThread([] {}, &thread);
  if (thread.joinable()) thread.join();
  int calls = 0;
  std::set<std::thread::id> callers;
  if (!status.ok()) {
    RunParallel(10, 4, [&](size_t) {
      ++calls;
      callers.insert(std::this_thread::get_id());
    });
  }
  pthread_setattr_default_np(&before);
  EXPECT_EQ(status.code_name(), "EAGAIN");
  EXPECT_EQ(calls, 10);
  EXPECT_EQ(callers, std::set<std::thread::id>{std::this_thread::get_id()});
  EXPECT_EQ(counters().threads.load(), 0);
}

TEST(ParallelJobsTest, PartsCoverTheRangesAndJobsAreOfOneSize) {
  const std::vector<uint64_t> lengths = {0, 10, 1, 0, 25, 5, 9};
  const ParallelJobs jobs(lengths, 10);
  EXPECT_EQ(jobs.bytes(), 50U);
  ASSERT_EQ(jobs.count(), 5U);
  std::vector<uint64_t> covered(lengths.size());
  for (size_t job = 0; job < jobs.count(); ++job) {
    uint64_t bytes = 0;
    for (size_t index = jobs.first[job]; index < jobs.first[job + 1]; ++index) {
      const ParallelJobs::Part& part = jobs.parts[index];
      EXPECT_EQ(part.offset, covered[part.range]);
      EXPECT_GT(part.bytes, 0U);
      covered[part.range] += part.bytes;
      bytes += part.bytes;
    }
    EXPECT_EQ(bytes, 10U);
  }
  EXPECT_EQ(covered, lengths);
  EXPECT_EQ(ParallelJobs({}, 10).count(), 0U);
  EXPECT_EQ(ParallelJobs({0, 0}, 10).count(), 0U);
}

TEST(BulkCopyTest, EveryAlignmentAndLengthAndNotAByteMore) {
  const std::vector<uint8_t> source = RandomBytes(9000, 51);
  std::vector<uint8_t> target;
  for (const size_t bytes : {0, 1, 63, 64, 65, 2047, 2048, 2049, 2111, 2112, 4096, 5003, 8192}) {
    for (const size_t from : {0, 1, 15, 16, 33}) {
      for (size_t to = 0; to < 130; to += 13) {
        target.assign(8192 + 300, 0xaa);
        BulkCopy(target.data() + to, source.data() + from, bytes);
        ASSERT_EQ(memcmp(target.data() + to, source.data() + from, bytes), 0);
        for (size_t at = 0; at < to; ++at) ASSERT_EQ(target[at], 0xaa);
        for (size_t at = to + bytes; at < target.size(); ++at) ASSERT_EQ(target[at], 0xaa);
      }
    }
  }
  BulkCopy(nullptr, nullptr, 0);
}

// Some long, many short, some empty ranges.
std::vector<uint64_t> Lengths() {
  std::vector<uint64_t> lengths = {0, (uint64_t{9} << 20) + 77, 0, 1};
  for (uint64_t index = 0; index < 5000; ++index) lengths.push_back(index * 37 % 501);
  lengths.push_back((uint64_t{1} << 20) - 1);
  lengths.push_back(uint64_t{1} << 20);
  lengths.push_back(0);
  return lengths;
}

TEST(CopyRangesTest, CopiesManyRangesByAnyNumberOfThreads) {
  const std::vector<uint8_t> source = RandomBytes(24 << 20, 52);
  for (const unsigned threads : {1U, 2U, 8U}) {
    std::vector<uint8_t> target(source.size() + 100, 0xaa);
    std::vector<uint8_t> expected = target;
    std::vector<CopyRange> ranges;
    uint64_t from = 5, to = target.size();
    for (const uint64_t bytes : Lengths()) {
      to -= bytes + 3;
      ranges.push_back({source.data() + from, target.data() + to, bytes});
      memcpy(expected.data() + to, source.data() + from, bytes);
      from += bytes;
    }
    CopyRanges(ranges, threads);
    EXPECT_EQ(memcmp(target.data(), expected.data(), target.size()), 0);
  }
  CopyRanges({});
  CopyRanges({{nullptr, nullptr, 0}});
}

TEST(Crc32cOfRangesTest, IsTheCrcOfEachRange) {
  const std::vector<uint8_t> bytes = RandomBytes(16 << 20, 53);
  std::vector<MemoryRange> ranges;
  uint64_t at = 3;
  for (const uint64_t length : Lengths()) {
    ranges.push_back({bytes.data() + at, length});
    at += length;
  }
  ranges.push_back({nullptr, 0});
  std::vector<uint32_t> expected;
  for (const MemoryRange& range : ranges) expected.push_back(NaiveCrc(range.data, range.bytes));
  for (const unsigned threads : {1U, 2U, 8U}) EXPECT_EQ(Crc32cOfRanges(ranges, threads), expected);
  EXPECT_TRUE(Crc32cOfRanges({}).empty());
}

TEST(PlanTest, NamesTheMemoryOfEveryRange) {
  uint8_t memory[100], target[50];
  const std::vector<MemoryRange> buffers = {{memory, 10}, {nullptr, 0}, {memory + 20, 80}};
  std::vector<CopyRange> copies;
  ASSERT_TRUE(
      PlanCopy(buffers, {2, 60, 20, 30, 0, 0, 10, 0, 1, 0, 0, 50}, target, 50, &copies).ok());
  ASSERT_EQ(copies.size(), 3U);
  EXPECT_EQ(copies[0].from, memory + 80);
  EXPECT_EQ(copies[0].to, target + 30);
  EXPECT_EQ(copies[0].bytes, 20U);
  EXPECT_EQ(copies[1].from, memory);
  EXPECT_EQ(copies[1].to, target);
  EXPECT_EQ(copies[2].bytes, 0U);
  std::vector<MemoryRange> ranges;
  ASSERT_TRUE(PlanRanges(buffers, {2, 79, 1, 1, 0, 0}, &ranges).ok());
  EXPECT_EQ(ranges[0].data, memory + 99);
  ASSERT_TRUE(PlanRanges(buffers, {}, &ranges).ok());
  EXPECT_TRUE(ranges.empty());
}

TEST(PlanTest, RefusesWhatReachesBeyond) {
  uint8_t memory[100], target[50];
  const std::vector<MemoryRange> buffers = {{memory, 100}, {nullptr, 0}};
  const std::vector<std::vector<uint64_t>> bad = {
      {2, 0, 0, 0},         // no such buffer
      {kSafeMax, 0, 0, 0},  //
      {0, 101, 0, 0},       // begins beyond the buffer
      {0, 100, 1, 0},       // ends beyond it
      {0, 0, 101, 0},       //
      {1, 0, 1, 0},         //
      {0, kSafeMax, 1, 0},  // sums that are too large
      {0, 1, kSafeMax, 0},  //
      {0, 0, 0, 51},        // begins beyond the arena
      {0, 0, 1, 50},        // ends beyond it
      {0, 0, 51, 0},        //
      {0, 0, 1, kSafeMax},  //
      {0, 0, 1, ~uint64_t{0}},
      {0, 0, 1},        // a number is missing
      {0, 0, 1, 0, 0},  //
  };
  for (const std::vector<uint64_t>& numbers : bad) {
    // A good one before it changes nothing.
    std::vector<uint64_t> both = {0, 0, 10, 0};
    both.insert(both.end(), numbers.begin(), numbers.end());
    std::vector<CopyRange> copies;
    EXPECT_EQ(PlanCopy(buffers, both, target, 50, &copies).code_name(), "ERR_INVALID_ARGUMENT");
  }
  std::vector<MemoryRange> ranges;
  for (const std::vector<uint64_t>& numbers : std::vector<std::vector<uint64_t>>{
           {2, 0, 0}, {0, 101, 0}, {0, 100, 1}, {0, 1, kSafeMax}, {1, 0, 1}, {0, 0}}) {
    EXPECT_EQ(PlanRanges(buffers, numbers, &ranges).code_name(), "ERR_INVALID_ARGUMENT");
  }
}

}  // namespace
}  // namespace holdfast
