// What only rings can do wrong, or have done to them.
#include "core/uring_engine.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "core/crc32c.h"
#include "core/stream_reader.h"
#include "core/stream_writer.h"
#include "test/engines.h"
#include "test/faulty_operations.h"
#include "test/test_files.h"

namespace holdfast {
namespace {

class UringTest : public EngineTest {
 protected:
  void TearDown() override {
    writer_.reset();
    reader_.reset();
    EngineTest::TearDown();
  }
  WriterOptions Options(size_t bytes) {
    WriterOptions options;
    options.spans = {bytes};
    options.chunk_bytes = 1 << 20;
    options.operation_bytes = 64 << 10;
    options.queue_depth = 4;
    options.engine = GetParam();
    options.operations = &operations_;
    return options;
  }
  Status Write(const std::vector<uint8_t>& bytes, WriterOptions options) {
    HOLDFAST_RETURN_IF_ERROR(StreamWriter::Open(path_, std::move(options), &writer_));
    Source source;
    source.pieces.push_back({bytes.data(), bytes.size()});
    const Status written = writer_->Write(std::move(source));
    const Status status = writer_->Finish(&result_);
    EXPECT_TRUE(!status.ok() || written.ok());
    return status;
  }
  Status Write(const std::vector<uint8_t>& bytes) { return Write(bytes, Options(bytes.size())); }
  Status Read(size_t bytes, std::vector<uint8_t>* into) {
    HOLDFAST_RETURN_IF_ERROR(
        StreamReader::Open(path_, DirectMode::kOptional, operations_, &reader_));
    into->assign(bytes, 0xee);
    ReadOptions options;
    options.spans = {bytes};
    options.chunk_bytes = 1 << 20;
    options.destinations = {into->data()};
    options.operation_bytes = 64 << 10;
    options.queue_depth = 4;
    options.engine = GetParam();
    return reader_->Read(std::move(options), &result_);
  }
  void ExpectWritten(const std::vector<uint8_t>& bytes) {
    EXPECT_EQ(result_.crc32c, Crc32c(bytes.data(), bytes.size()));
    EXPECT_EQ(ReadWhole(path_), bytes);
  }

  TestDirectory directory_;
  const std::string path_ = directory_.File("file");
  FaultyOperations operations_;
  std::unique_ptr<StreamWriter> writer_;
  std::unique_ptr<StreamReader> reader_;
  TransferResult result_;
};

TEST_P(UringTest, ThreadsDoTheWorkWhereNoRingCanBeHad) {
  const std::vector<uint8_t> bytes = RandomBytes(600001, 61);
  const std::vector<FaultyOperations::Rule> refusals = {
      {"io_uring_setup", 1, true, EPERM},       // by a sandbox
      {"io_uring_setup", 1, true, ENOSYS},      //
      {"io_uring_setup", 1, true, EINVAL},      // a flag is unknown, whichever is tried
      {"io_uring_setup", 2, true, ENOMEM},      // for one thread, but not for another
      {"io_uring_register", 1, true, EPERM},    // neither asked what it can, nor enabled
      {"io_uring_register", 1, false, EINVAL},  // an old kernel
      {"io_uring_try", 1, true, EPERM},         // set up, but not entered
      {"io_uring_try", 2, false, EACCES},
  };
  for (const FaultyOperations::Rule& refusal : refusals) {
    SCOPED_TRACE(refusal.call + std::to_string(refusal.nth) + " " + ErrorName(refusal.error));
    FaultyOperations operations;
    operations.Add(refusal);
    WriterOptions options = Options(bytes.size());
    options.operations = &operations;
    const int64_t refused = counters().ring_refusals.load();
    ASSERT_TRUE(Write(bytes, std::move(options)).ok());
    ExpectWritten(bytes);
    // Where one core means one ring, there is no second to be refused.
    if (operations.count(refusal.call) >= refusal.nth) {
      EXPECT_EQ(result_.engine, EngineKind::kThreads);
      EXPECT_EQ(counters().ring_refusals.load(), refused + 1);
    }
    unlink(path_.c_str());
  }
}

TEST_P(UringTest, OlderKernelsGetTheFlagsTheyKnow) {
  const std::vector<uint8_t> bytes = RandomBytes(600001, 61);
  for (const unsigned unknown : {1U, 2U}) {
    FaultyOperations operations;
    for (unsigned nth = 1; nth <= unknown; ++nth) {
      operations.Add({"io_uring_setup", nth, false, EINVAL});
    }
    WriterOptions options = Options(bytes.size());
    options.operations = &operations;
    ASSERT_TRUE(Write(bytes, std::move(options)).ok());
    EXPECT_EQ(result_.engine, EngineKind::kUring);
    ExpectWritten(bytes);
    unlink(path_.c_str());
  }
}

TEST_P(UringTest, WorksWithMemoryThatMayNotBeRegistered) {
  const std::vector<uint8_t> bytes = RandomBytes(600001, 61);
  operations_.Add({"register memory", 1, true, ENOMEM});
  ASSERT_TRUE(Write(bytes).ok());
  EXPECT_EQ(result_.engine, EngineKind::kUring);
  EXPECT_GT(operations_.count("register memory"), 0U);
  ExpectWritten(bytes);
  std::vector<uint8_t> read;
  ASSERT_TRUE(Read(bytes.size(), &read).ok());
  EXPECT_EQ(result_.engine, EngineKind::kUring);
  EXPECT_EQ(read, bytes);
}

// The kernel may still read from the staging memory, so it is never used again; the file is not
// synced, and nothing waits for what will not come.
TEST_P(UringTest, ABrokenRingFailsTheWriteAndKeepsItsMemory) {
  const std::vector<uint8_t> bytes = RandomBytes(2000001, 61);
  for (const bool persistent : {false, true}) {
    for (unsigned nth = 1; nth <= 12; ++nth) {
      FaultyOperations operations;
      operations.Add({"io_uring_enter", nth, persistent, EBADF});
      WriterOptions options = Options(bytes.size());
      options.operations = &operations;
      const int64_t before = counters().staging_bytes.load();
      const Status status = Write(bytes, std::move(options));
      ASSERT_EQ(status.code_name(), "EBADF") << nth;
      ASSERT_EQ(status.system_call(), "io_uring_enter");
      ASSERT_EQ(operations.count("fsync"), 0U);
      ASSERT_EQ(operations.count("close"), 1U);
      ASSERT_EQ(counters().spare_staging_bytes.load(), 0);
      const int64_t lost = counters().staging_bytes.load() - before;
      ASSERT_GT(lost, 0);
      lost_bytes_ += lost;
      writer_.reset();
      ASSERT_EQ(counters().staging_bytes.load() - before, lost);
      unlink(path_.c_str());
    }
  }
}

TEST_P(UringTest, ABrokenRingFailsTheReadAndKeepsItsMemory) {
  const std::vector<uint8_t> bytes = RandomBytes(2000001, 61);
  WriteWhole(path_, bytes);
  for (unsigned nth = 1; nth <= 12; ++nth) {
    operations_.Add({"io_uring_enter", operations_.count("io_uring_enter") + nth, false, EBADF});
    const int64_t before = counters().staging_bytes.load();
    std::vector<uint8_t> read;
    const Status status = Read(bytes.size(), &read);
    ASSERT_EQ(status.code_name(), "EBADF") << nth;
    ASSERT_EQ(status.system_call(), "io_uring_enter");
    const int64_t lost = counters().staging_bytes.load() - before;
    ASSERT_GT(lost, 0);
    lost_bytes_ += lost;
    ASSERT_EQ(counters().spare_staging_bytes.load(), 0);
  }
}

TEST_P(UringTest, AKernelThatIsShortOfSomethingGetsTime) {
  const std::vector<uint8_t> bytes = RandomBytes(2000001, 61);
  for (const int trouble : {EINTR, EAGAIN, EBUSY}) {
    for (unsigned nth = 1; nth <= 12; ++nth) {
      FaultyOperations operations;
      for (unsigned more = 0; more < 3; ++more) {
        operations.Add({"io_uring_enter", nth + more, false, trouble});
      }
      WriterOptions options = Options(bytes.size());
      options.operations = &operations;
      ASSERT_TRUE(Write(bytes, std::move(options)).ok()) << trouble << " " << nth;
      ExpectWritten(bytes);
      unlink(path_.c_str());
    }
  }
}

TEST_P(UringTest, AndThenItIsGivenUp) {
  const std::vector<uint8_t> bytes = RandomBytes(2000001, 61);
  operations_.Add({"io_uring_enter", 3, true, EAGAIN});
  EXPECT_EQ(Write(bytes).code_name(), "EAGAIN");
  EXPECT_GT(operations_.count("sleep"), 10U);
  lost_bytes_ = counters().staging_bytes.load();
  EXPECT_GT(lost_bytes_, 0);
}

TEST_P(UringTest, AFailedWriteFailsOnceAndEndsEverything) {
  const std::vector<uint8_t> bytes = RandomBytes(8 << 20, 61);
  operations_.Add({"pwrite", 3, false, EIO});
  EXPECT_EQ(Write(bytes).code_name(), "EIO");
  const unsigned writes = operations_.count("pwrite");
  // At most what was in flight already.
  EXPECT_LT(writes, 3U + 2 * 4);
  EXPECT_EQ(operations_.count("fsync"), 0U);
  EXPECT_EQ(writer_->Finish(&result_).code_name(), "ERR_INVALID_ARGUMENT");
}

TEST_P(UringTest, EveryWriteIsShort) {
  const std::vector<uint8_t> bytes = RandomBytes(2000001, 61);
  for (const size_t at_most : {5000, 20000, 65535}) {
    FaultyOperations operations;
    operations.Add({"pwrite", 1, true, 0, at_most});
    operations.Add({"pread", 1, true, 0, at_most});
    WriterOptions options = Options(bytes.size());
    options.operations = &operations;
    ASSERT_TRUE(Write(bytes, std::move(options)).ok());
    EXPECT_GT(operations.count("pwrite"), bytes.size() / 65536 + 1);
    EXPECT_FALSE(operations.misaligned());
    ExpectWritten(bytes);
    unlink(path_.c_str());
  }
}

TEST_P(UringTest, DirectWritesThatAreRefusedAreMadeThroughTheCache) {
  const std::vector<uint8_t> bytes = RandomBytes(600001, 61);
  operations_.Add({"pwrite", 1, true, EINVAL, 0, true});
  ASSERT_TRUE(StreamWriter::Open(path_, Options(bytes.size()), &writer_).ok());
  if (!writer_->direct()) GTEST_SKIP() << "no direct I/O here";
  writer_.reset();
  unlink(path_.c_str());
  ASSERT_TRUE(Write(bytes).ok());
  EXPECT_FALSE(result_.direct);
  EXPECT_NE(result_.direct_reason.find("EINVAL"), std::string::npos);
  EXPECT_EQ(result_.engine, EngineKind::kUring);
  ExpectWritten(bytes);
}

TEST_P(UringTest, ThousandsOfSmallOperationsInADeepQueue) {
  const std::vector<uint8_t> bytes = RandomBytes((32 << 20) + 77, 61);
  WriterOptions options = Options(bytes.size());
  options.operation_bytes = 4096;
  options.queue_depth = 256;
  ASSERT_TRUE(Write(bytes, std::move(options)).ok());
  EXPECT_GT(operations_.count("pwrite"), 8000U);
  ExpectWritten(bytes);
  std::vector<uint8_t> read;
  ASSERT_TRUE(Read(bytes.size(), &read).ok());
  EXPECT_EQ(read, bytes);
}

// The memory goes back to the pool with nothing in flight: whoever gets it next may fill it.
TEST_P(UringTest, NothingIsInFlightOnceAWriterIsAbandonedOrDestroyed) {
  const std::vector<uint8_t> bytes(size_t{48} << 20, 0x11);
  for (const bool destroy : {false, true}) {
    for (unsigned round = 0; round < 4; ++round) {
      WriterOptions options = Options(bytes.size());
      options.operation_bytes = size_t{2} << 20;
      std::atomic<unsigned> begun{0};
      operations_.on_transfer = [&] { ++begun; };
      ASSERT_TRUE(StreamWriter::Open(path_, std::move(options), &writer_).ok());
      std::atomic<bool> told{false};
      Source source;
      source.pieces.push_back({bytes.data(), bytes.size()});
      writer_->Write(std::move(source), [&](const Status&) { told = true; });
      while (begun.load() < 2 + round) std::this_thread::yield();
      if (destroy) {
        writer_.reset();
      } else {
        writer_->Abandon();
      }
      EXPECT_TRUE(told.load());
      EXPECT_EQ(counters().threads.load(), 0);
      StagingMemory next;
      ASSERT_TRUE(next.Acquire(5 * (size_t{2} << 20)).ok());
      EXPECT_EQ(counters().spare_staging_bytes.load(), 0);
      std::fill_n(next.data(), next.size(), uint8_t{0xee});
      const std::vector<uint8_t> written = ReadWhole(path_);
      EXPECT_EQ(std::count(written.begin(), written.end(), uint8_t{0xee}), 0);
      unlink(path_.c_str());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Only, UringTest, testing::Values(EngineKind::kUring), NameOfEngine);

TEST(EngineKindTest, WordsAndWhatTheyStandFor) {
  EngineKind kind = EngineKind::kAuto;
  EXPECT_TRUE(ParseEngineKind("io_uring", &kind));
  EXPECT_EQ(kind, EngineKind::kUring);
  EXPECT_TRUE(ParseEngineKind("threads", &kind));
  EXPECT_EQ(kind, EngineKind::kThreads);
  EXPECT_TRUE(ParseEngineKind("auto", &kind));
  EXPECT_EQ(kind, EngineKind::kAuto);
  for (const char* word : {"", "IO_URING", "uring", "thread"}) {
    EXPECT_FALSE(ParseEngineKind(word, &kind)) << word;
  }
  EXPECT_EQ(ResolveEngine(EngineKind::kUring), EngineKind::kUring);
  EXPECT_EQ(ResolveEngine(EngineKind::kThreads), EngineKind::kThreads);
  EXPECT_NE(ResolveEngine(EngineKind::kAuto), EngineKind::kAuto);
}

}  // namespace
}  // namespace holdfast
