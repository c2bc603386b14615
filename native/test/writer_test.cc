#include "core/stream_writer.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <random>
#include <thread>

#include "core/crc32c.h"
#include "test/engines.h"
#include "test/faulty_operations.h"
#include "test/test_files.h"

namespace holdfast {
namespace {

class WriterTest : public EngineTest {
 protected:
  void TearDown() override {
    writer_.reset();
    EngineTest::TearDown();
  }
  WriterOptions Options(std::vector<uint64_t> spans, uint64_t chunk = 1 << 20) {
    WriterOptions options;
    options.spans = std::move(spans);
    options.chunk_bytes = chunk;
    options.operation_bytes = 64 << 10;
    options.queue_depth = 4;
    options.operations = &operations_;
    options.engine = GetParam();
    return options;
  }
  Status Open(WriterOptions options) {
    return StreamWriter::Open(path_, std::move(options), &writer_);
  }
  Status Write(const uint8_t* data, size_t bytes) {
    Source source;
    source.pieces.push_back({data, bytes});
    return writer_->Write(std::move(source));
  }
  void ExpectSums(const std::vector<uint8_t>& bytes, const std::vector<uint64_t>& spans,
                  uint64_t chunk) {
    EXPECT_EQ(result_.bytes, bytes.size());
    EXPECT_EQ(result_.crc32c, Crc32c(bytes.data(), bytes.size()));
    ASSERT_EQ(result_.spans.size(), spans.size());
    uint64_t at = 0;
    for (size_t index = 0; index < spans.size(); ++index) {
      ASSERT_EQ(result_.spans[index], Crc32c(bytes.data() + at, spans[index])) << index;
      at += spans[index];
    }
    ASSERT_EQ(result_.chunks.size(), (bytes.size() + chunk - 1) / chunk);
    for (size_t index = 0; index < result_.chunks.size(); ++index) {
      const size_t begin = index * chunk;
      ASSERT_EQ(result_.chunks[index],
                Crc32c(bytes.data() + begin, std::min<size_t>(chunk, bytes.size() - begin)))
          << index;
    }
  }

  TestDirectory directory_;
  const std::string path_ = directory_.File("file");
  FaultyOperations operations_;
  std::unique_ptr<StreamWriter> writer_;
  TransferResult result_;
};

TEST_P(WriterTest, RandomLayoutsInRandomPieces) {
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    std::vector<uint64_t> spans(random() % 40);
    for (uint64_t& span : spans) {
      const uint64_t limits[] = {1, 5, 300, 4096, 70000, 400000};
      span = random() % limits[random() % 6];
    }
    const size_t total = std::accumulate(spans.begin(), spans.end(), size_t{0});
    const uint64_t chunk = std::vector<uint64_t>{512, 1000, 4096, 65536, 1 << 20}[random() % 5];
    const std::vector<uint8_t> bytes = RandomBytes(total, static_cast<uint32_t>(round));
    WriterOptions options = Options(spans, chunk);
    options.operation_bytes = 4096 * (1 + random() % 20);
    options.queue_depth = 1 + random() % 6;
    options.direct = random() % 2 == 0 ? DirectMode::kOptional : DirectMode::kDisabled;
    ASSERT_TRUE(Open(options).ok());
    std::atomic<unsigned> done{0};
    unsigned calls = 0;
    for (size_t at = 0; at < total;) {
      Source source;
      for (unsigned pieces = 1 + random() % 5; pieces > 0; --pieces) {
        const size_t step = std::min<size_t>(random() % 150000, total - at);
        source.pieces.push_back({bytes.data() + at, step});
        at += step;
      }
      ++calls;
      writer_->Write(std::move(source), [&](const Status& status) {
        EXPECT_TRUE(status.ok()) << status.message();
        ++done;
      });
    }
    result_ = TransferResult();
    const Status status = writer_->Finish(&result_);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(done.load(), calls);
    EXPECT_EQ(result_.engine, total == 0 ? EngineKind::kThreads : GetParam());
    EXPECT_EQ(writer_->written_bytes(), total);
    ExpectSums(bytes, spans, chunk);
    ASSERT_EQ(ReadWhole(path_), bytes);
    unlink(path_.c_str());
  }
}

TEST_P(WriterTest, HundredThousandTinySpans) {
  std::vector<uint64_t> spans(100000);
  for (size_t index = 0; index < spans.size(); ++index) spans[index] = index % 13;
  const size_t total = std::accumulate(spans.begin(), spans.end(), size_t{0});
  const std::vector<uint8_t> bytes = RandomBytes(total, 3);
  ASSERT_TRUE(Open(Options(spans, 4096)).ok());
  Source source;
  uint64_t at = 0;
  for (const uint64_t span : spans) {
    source.pieces.push_back({bytes.data() + at, span});
    at += span;
  }
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(writer_->Write(std::move(source)).ok());
  ASSERT_TRUE(writer_->Finish(&result_).ok());
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(std::chrono::duration<double>(took).count(), 5.0);
  ExpectSums(bytes, spans, 4096);
}

TEST_P(WriterTest, StagingMemoryIsFreeAgainWhenWriteReturns) {
  std::vector<uint8_t> bytes = RandomBytes(1000000, 5);
  const std::vector<uint8_t> copy = bytes;
  ASSERT_TRUE(Open(Options({bytes.size()})).ok());
  for (size_t at = 0; at < bytes.size(); at += 100000) {
    ASSERT_TRUE(Write(bytes.data() + at, 100000).ok());
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(at), 100000, uint8_t{0xee});
  }
  ASSERT_TRUE(writer_->Finish(&result_).ok());
  EXPECT_EQ(ReadWhole(path_), copy);
  ExpectSums(copy, {copy.size()}, 1 << 20);
}

// Whatever fails, once or for good, at whichever call: the error comes out, nothing is synced after
// it, and no write follows once every thread has seen it.
TEST_P(WriterTest, EveryErrorAtEveryCall) {
  const std::vector<uint8_t> bytes = RandomBytes(600001, 6);
  const int kErrors[] = {EIO, ENOSPC, EDQUOT, ENOMEM, EROFS, EFBIG};
  const std::vector<std::string> kCalls = {"pwrite", "ftruncate", "fsync", "close"};
  unsigned cases = 0;
  for (const std::string& call : kCalls) {
    for (const int error : kErrors) {
      for (unsigned nth = 1; nth <= (call == "pwrite" ? 10U : 1U); ++nth) {
        for (const bool persistent : {false, true}) {
          FaultyOperations operations;
          operations.Add({call, nth, persistent, error});
          WriterOptions options = Options({bytes.size()});
          options.operations = &operations;
          ASSERT_TRUE(Open(options).ok());
          (void)Write(bytes.data(), bytes.size());
          const Status status = writer_->Finish(&result_);
          ASSERT_EQ(status.error_number(), error) << call << nth;
          ASSERT_EQ(status.system_call(), call);
          ASSERT_EQ(operations.count("fsync"), call == "fsync" || call == "close" ? 1U : 0U);
          ASSERT_EQ(operations.count("close"), 1U);
          writer_.reset();
          unlink(path_.c_str());
          ++cases;
        }
      }
    }
  }
  EXPECT_EQ(cases, 6U * 2U * 13U);
}

TEST_P(WriterTest, TransientTroubleIsOvercome) {
  const std::vector<uint8_t> bytes = RandomBytes(600001, 6);
  for (unsigned nth = 1; nth <= 10; ++nth) {
    for (const int trouble : {EINTR, EAGAIN, 0}) {
      FaultyOperations operations;
      operations.Add({"pwrite", nth, false, trouble, 5000});
      WriterOptions options = Options({bytes.size()});
      options.operations = &operations;
      ASSERT_TRUE(Open(options).ok());
      ASSERT_TRUE(Write(bytes.data(), bytes.size()).ok());
      ASSERT_TRUE(writer_->Finish(&result_).ok());
      ASSERT_EQ(ReadWhole(path_), bytes);
      ASSERT_FALSE(operations.misaligned());
      unlink(path_.c_str());
    }
  }
}

TEST_P(WriterTest, ErrorsSurfaceAtTheNextWrite) {
  const std::vector<uint8_t> bytes = RandomBytes(1 << 20, 6);
  operations_.Add({"pwrite", 1, true, EIO});
  ASSERT_TRUE(Open(Options({bytes.size()})).ok());
  Status status;
  for (size_t at = 0; at < bytes.size() && status.ok(); at += 65536) {
    status = Write(bytes.data() + at, 65536);
  }
  EXPECT_EQ(status.code_name(), "EIO");
  const unsigned writes = operations_.count("pwrite");
  EXPECT_EQ(Write(bytes.data(), 1).code_name(), "EIO");
  EXPECT_EQ(writer_->Finish(&result_).code_name(), "EIO");
  EXPECT_EQ(operations_.count("pwrite"), writes);
  EXPECT_EQ(operations_.count("fsync"), 0U);
}

TEST_P(WriterTest, WrongNumberOfBytes) {
  const std::vector<uint8_t> bytes = RandomBytes(1000, 6);
  ASSERT_TRUE(Open(Options({1000})).ok());
  ASSERT_TRUE(Write(bytes.data(), 999).ok());
  EXPECT_EQ(writer_->Finish(&result_).code_name(), "ERR_INVALID_ARGUMENT");
  EXPECT_EQ(operations_.count("fsync"), 0U);
  unlink(path_.c_str());
  ASSERT_TRUE(Open(Options({999})).ok());
  EXPECT_EQ(Write(bytes.data(), 1000).code_name(), "ERR_INVALID_ARGUMENT");
  EXPECT_EQ(writer_->Finish(&result_).code_name(), "ERR_INVALID_ARGUMENT");
}

TEST_P(WriterTest, EmptyFile) {
  ASSERT_TRUE(Open(Options({0, 0})).ok());
  ASSERT_TRUE(Write(nullptr, 0).ok());
  ASSERT_TRUE(writer_->Finish(&result_).ok());
  EXPECT_EQ(result_.crc32c, 0U);
  EXPECT_EQ(result_.chunks.size(), 0U);
  EXPECT_EQ(result_.spans, (std::vector<uint32_t>{0, 0}));
  EXPECT_EQ(ReadWhole(path_).size(), 0U);
  EXPECT_EQ(operations_.count("fsync"), 1U);
}

TEST_P(WriterTest, AbortTakesEffectBetweenOperations) {
  const std::vector<uint8_t> bytes = RandomBytes(8 << 20, 6);
  WriterOptions options = Options({bytes.size()});
  options.abort = std::make_shared<AbortFlag>(false);
  operations_.on_transfer = [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
  ASSERT_TRUE(Open(options).ok());
  std::thread aborter([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    options.abort->store(true);
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Write(bytes.data(), bytes.size()).code_name(), "ERR_ABORTED");
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(std::chrono::duration<double>(took).count(), 0.25);
  aborter.join();
  EXPECT_EQ(writer_->Finish(&result_).code_name(), "ERR_ABORTED");
  EXPECT_EQ(operations_.count("fsync"), 0U);
}

TEST_P(WriterTest, AbandonEndsWaitingCalls) {
  const std::vector<uint8_t> bytes = RandomBytes(4 << 20, 6);
  operations_.on_transfer = [] { std::this_thread::sleep_for(std::chrono::milliseconds(10)); };
  ASSERT_TRUE(Open(Options({bytes.size()})).ok());
  std::atomic<int> aborted{0};
  for (int call = 0; call < 4; ++call) {
    Source source;
    source.pieces.push_back({bytes.data() + (call << 20), 1 << 20});
    writer_->Write(std::move(source), [&](const Status& status) {
      if (status.code() == Code::kAborted) ++aborted;
    });
  }
  writer_->Abandon();
  EXPECT_GT(aborted.load(), 0);
  EXPECT_EQ(operations_.count("fsync"), 0U);
}

TEST_P(WriterTest, StagingBudgetHoldsWhateverIsAsked) {
  WriterOptions options = Options({uint64_t{1} << 30});
  options.operation_bytes = kOperationBytesMax;
  options.queue_depth = 256;
  operations_.Add({"fallocate", 1, false, EOPNOTSUPP});
  ASSERT_TRUE(Open(options).ok());
  EXPECT_LE(counters().staging_bytes.load(), static_cast<int64_t>(kStagingBytesMax));
  writer_->Abandon();
}

TEST_P(WriterTest, RefusesBadOptionsBeforeItCreatesAnything) {
  WriterOptions options = Options({10});
  options.operation_bytes = 5000;
  EXPECT_EQ(Open(options).code_name(), "ERR_INVALID_ARGUMENT");
  EXPECT_EQ(Open(Options({10}, 0)).code_name(), "ERR_INVALID_ARGUMENT");
  EXPECT_EQ(Open(Options({uint64_t{1} << 52, uint64_t{1} << 52})).code_name(),
            "ERR_INVALID_ARGUMENT");
  EXPECT_EQ(Open(Options({uint64_t{1} << 40}, 512)).code_name(), "ERR_INVALID_ARGUMENT");
  EXPECT_FALSE(Exists(path_));
}

TEST_P(WriterTest, RevokedMemoryFailsTheWriterAndIsLetGo) {
  std::vector<uint8_t> bytes = RandomBytes(4 << 20, 6);
  PinTable& table = PinTable::Global();
  const uint64_t owner = 424242;
  const uint64_t pin = table.Add(owner, bytes.data(), bytes.size());
  operations_.on_transfer = [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  ASSERT_TRUE(Open(Options({bytes.size()})).ok());
  Source source;
  source.leases = std::make_unique<LeaseSet>();
  ASSERT_NE(source.leases->Acquire(pin), nullptr);
  source.pieces.push_back({bytes.data(), bytes.size()});
  std::atomic<bool> failed{false};
  writer_->Write(std::move(source),
                 [&](const Status& status) { failed = status.code() == Code::kSourceChanged; });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  table.Revoke(owner);
  table.WaitUntilUnused(owner);
  std::fill(bytes.begin(), bytes.end(), uint8_t{0});  // nobody may read it any more
  EXPECT_EQ(writer_->Finish(&result_).code_name(), "ERR_SOURCE_CHANGED");
  EXPECT_TRUE(failed.load());
  EXPECT_EQ(table.size(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Both, WriterTest,
                         testing::Values(EngineKind::kThreads, EngineKind::kUring), NameOfEngine);

}  // namespace
}  // namespace holdfast
