#include "core/staging_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <vector>

#include "core/stream_reader.h"
#include "core/stream_writer.h"
#include "test/engines.h"
#include "test/faulty_operations.h"
#include "test/test_files.h"

namespace holdfast {
namespace {

constexpr size_t kMib = size_t{1} << 20;

AlignedMemory Allocate(size_t bytes) {
  AlignedMemory memory;
  EXPECT_TRUE(AlignedMemory::Allocate(bytes, &memory).ok());
  return memory;
}

int64_t Spare() {
  return counters().spare_staging_bytes.load();
}

TEST(StagingPoolTest, GivesWhatFitsAndCountsIt) {
  StagingPool pool;
  AlignedMemory memory;
  EXPECT_FALSE(pool.Take(kMib, &memory));
  pool.Put(Allocate(8 * kMib));
  pool.Put(Allocate(4 * kMib));
  EXPECT_EQ(Spare(), static_cast<int64_t>(12 * kMib));
  EXPECT_EQ(counters().staging_bytes.load(), 0);
  EXPECT_FALSE(pool.Take(9 * kMib, &memory));  // too small
  EXPECT_FALSE(pool.Take(1 * kMib, &memory));  // far too large
  ASSERT_TRUE(pool.Take(3 * kMib, &memory));   // the one that fits best
  EXPECT_EQ(memory.size(), 4 * kMib);
  EXPECT_EQ(counters().staging_bytes.load(), static_cast<int64_t>(4 * kMib));
  EXPECT_EQ(Spare(), static_cast<int64_t>(8 * kMib));
  pool.Clear();
  EXPECT_EQ(Spare(), 0);
  memory = AlignedMemory();
  EXPECT_EQ(counters().staging_bytes.load(), 0);
}

TEST(StagingPoolTest, KeepsSoMuchAndTheNewest) {
  StagingPool pool;
  pool.Put(Allocate(73 * kMib));
  EXPECT_EQ(Spare(), 0);
  pool.Put(Allocate(36 * kMib));
  pool.Put(Allocate(37 * kMib));
  EXPECT_EQ(Spare(), static_cast<int64_t>(37 * kMib));
  pool.Put(Allocate(35 * kMib));
  EXPECT_EQ(Spare(), static_cast<int64_t>(72 * kMib));
  for (int count = 0; count < 20; ++count) pool.Put(Allocate(4096));
  EXPECT_EQ(Spare(), static_cast<int64_t>(StagingPool::kSpareCountMax * 4096));
}

TEST(StagingPoolTest, LetsGoOfWhatNobodyWants) {
  StagingPool pool;
  const StagingPool::Clock::time_point now = StagingPool::Clock::now();
  pool.Put(Allocate(4 * kMib), now);
  pool.Put(Allocate(8 * kMib), now + StagingPool::kIdleMax / 2);
  pool.Trim(now + StagingPool::kIdleMax - std::chrono::nanoseconds(1));
  EXPECT_EQ(Spare(), static_cast<int64_t>(12 * kMib));
  pool.Trim(now + StagingPool::kIdleMax);
  EXPECT_EQ(Spare(), static_cast<int64_t>(8 * kMib));
  pool.Put(Allocate(2 * kMib), now + 2 * StagingPool::kIdleMax);
  EXPECT_EQ(Spare(), static_cast<int64_t>(2 * kMib));
}

TEST(StagingPoolTest, LostMemoryIsNotGivenToAnybody) {
  const int64_t before = counters().staging_bytes.load();
  uint8_t* lost = nullptr;
  {
    StagingMemory memory;
    ASSERT_TRUE(memory.Acquire(4 * kMib).ok());
    lost = memory.data();
    memory.Leak();
  }
  EXPECT_EQ(Spare(), 0);
  EXPECT_EQ(counters().staging_bytes.load() - before, static_cast<int64_t>(4 * kMib));
  *lost = 1;  // still there
  counters().staging_bytes -= 4 * kMib;
}

class StagingTest : public EngineTest {};

// What lay in the memory before never reaches the disk: neither behind the end of the data, before
// the file is cut to its length, nor anywhere else.
TEST_P(StagingTest, ASecondFileHoldsNothingOfTheFirst) {
  const TestDirectory directory;
  const std::string path = directory.File("file");
  FaultyOperations operations;
  std::mutex mutex;
  size_t secret = 0, beyond = 0, beyond_not_zero = 0;
  const auto write = [&](size_t bytes, uint8_t content) {
    const std::vector<uint8_t> data(bytes, content);
    operations.on_call = [&](const TransferCall& call) {
      const std::lock_guard<std::mutex> lock(mutex);
      secret += static_cast<size_t>(std::count(call.memory, call.memory + call.bytes, 0x5e));
      for (uint64_t at = std::max<uint64_t>(bytes, call.offset); at < call.offset + call.bytes;
           ++at) {
        ++beyond;
        beyond_not_zero += call.memory[at - call.offset] != 0 ? 1 : 0;
      }
    };
    WriterOptions options;
    options.spans = {bytes};
    options.chunk_bytes = kMib;
    options.operation_bytes = 64 << 10;
    options.queue_depth = 4;
    options.engine = GetParam();
    options.operations = &operations;
    std::unique_ptr<StreamWriter> writer;
    ASSERT_TRUE(StreamWriter::Open(path, std::move(options), &writer).ok());
    Source source;
    source.pieces.push_back({data.data(), data.size()});
    ASSERT_TRUE(writer->Write(std::move(source)).ok());
    TransferResult result;
    ASSERT_TRUE(writer->Finish(&result).ok());
    EXPECT_EQ(ReadWhole(path), data);
    unlink(path.c_str());
  };
  write(1000000, 0x5e);
  EXPECT_GE(secret, 1000000U);
  const int64_t spare = Spare();
  EXPECT_GT(spare, 0);
  secret = 0;
  // Every piece of the memory has been written by then.
  for (const size_t bytes : {900001, 899999, 300001, 299999, 262145, 999999}) {
    write(bytes, 0x77);
    EXPECT_EQ(Spare(), spare);  // the same memory, used again
  }
  EXPECT_EQ(secret, 0U);
  EXPECT_EQ(beyond_not_zero, 0U);
  if (beyond == 0) GTEST_SKIP() << "no direct I/O here, and so no padding";
}

INSTANTIATE_TEST_SUITE_P(Both, StagingTest,
                         testing::Values(EngineKind::kThreads, EngineKind::kUring), NameOfEngine);

}  // namespace
}  // namespace holdfast
