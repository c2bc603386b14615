#include "core/stream_reader.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <random>
#include <thread>

#include "core/crc32c.h"
#include "test/engines.h"
#include "test/faulty_operations.h"
#include "test/test_files.h"

namespace holdfast {
namespace {

class ReaderTest : public EngineTest {
 protected:
  void TearDown() override {
    reader_.reset();
    EngineTest::TearDown();
  }
  void Prepare(size_t bytes, DirectMode mode = DirectMode::kOptional) {
    bytes_ = RandomBytes(bytes, 21);
    WriteWhole(path_, bytes_);
    ASSERT_TRUE(StreamReader::Open(path_, mode, operations_, &reader_).ok());
  }
  ReadOptions Options(std::vector<uint64_t> spans, uint64_t chunk = 65536, uint64_t offset = 0) {
    ReadOptions options;
    options.chunk_bytes = chunk;
    options.offset = offset;
    options.destinations.assign(spans.size(), nullptr);
    options.spans = std::move(spans);
    options.operation_bytes = 64 << 10;
    options.queue_depth = 4;
    options.engine = GetParam();
    return options;
  }

  TestDirectory directory_;
  const std::string path_ = directory_.File("file");
  FaultyOperations operations_;
  std::vector<uint8_t> bytes_;
  std::unique_ptr<StreamReader> reader_;
  TransferResult result_;
};

TEST_P(ReaderTest, RandomRangesAndDestinations) {
  std::mt19937 random(31);
  Prepare(3000001);
  for (int round = 0; round < 80; ++round) {
    const uint64_t chunk = std::vector<uint64_t>{512, 1000, 4096, 65536, 1 << 20}[random() % 5];
    const uint64_t offset = chunk * (random() % (bytes_.size() / chunk));
    std::vector<uint64_t> spans;
    uint64_t left = bytes_.size() - offset;
    for (unsigned count = random() % 30; count > 0; --count) {
      const uint64_t limits[] = {1, 7, 5000, 300000};
      spans.push_back(std::min<uint64_t>(left, random() % limits[random() % 4]));
      left -= spans.back();
    }
    const uint64_t total = std::accumulate(spans.begin(), spans.end(), uint64_t{0});
    std::vector<uint8_t> filled(total + 1, 0xee);
    ReadOptions options = Options(spans, chunk, offset);
    options.operation_bytes = 4096 * (1 + random() % 30);
    uint64_t at = 0;
    for (size_t index = 0; index < spans.size(); ++index) {
      if (random() % 4 != 0) options.destinations[index] = filled.data() + at;
      at += spans[index];
    }
    const std::vector<uint8_t*> destinations = options.destinations;
    const Status status = reader_->Read(std::move(options), &result_);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(reader_->read_bytes(), total);
    EXPECT_EQ(result_.engine, total == 0 ? EngineKind::kThreads : GetParam());
    const uint8_t* source = bytes_.data() + offset;
    EXPECT_EQ(result_.crc32c, Crc32c(source, total));
    at = 0;
    for (size_t index = 0; index < spans.size(); ++index) {
      ASSERT_EQ(result_.spans[index], Crc32c(source + at, spans[index]));
      if (destinations[index] != nullptr) {
        ASSERT_EQ(memcmp(destinations[index], source + at, spans[index]), 0);
      }
      at += spans[index];
    }
    for (size_t index = 0; index < result_.chunks.size(); ++index) {
      ASSERT_EQ(result_.chunks[index],
                Crc32c(source + index * chunk, std::min<uint64_t>(chunk, total - index * chunk)));
    }
    EXPECT_EQ(filled[total], 0xee);
  }
}

TEST_P(ReaderTest, ErrorsAtEveryCall) {
  for (const int error : {EIO, ENOMEM, EBADMSG}) {
    for (unsigned nth = 1; nth <= 6; ++nth) {
      FaultyOperations operations;
      operations.Add({"pread", nth, false, error});
      bytes_ = RandomBytes(400000, 21);
      WriteWhole(path_, bytes_);
      ASSERT_TRUE(StreamReader::Open(path_, DirectMode::kOptional, operations, &reader_).ok());
      const Status status = reader_->Read(Options({400000}), &result_);
      ASSERT_EQ(status.error_number(), error);
      ASSERT_EQ(status.system_call(), "pread");
      reader_.reset();
    }
  }
}

TEST_P(ReaderTest, TransientTroubleIsOvercome) {
  for (const int trouble : {EINTR, EAGAIN, 0}) {
    operations_.Add({"pread", 3, false, trouble, 5000});
  }
  Prepare(400000);
  ASSERT_TRUE(reader_->Read(Options({400000}), &result_).ok());
  EXPECT_EQ(result_.crc32c, Crc32c(bytes_.data(), bytes_.size()));
  EXPECT_FALSE(operations_.misaligned());
}

TEST_P(ReaderTest, ShorterThanAsked) {
  Prepare(100001);
  const Status status = reader_->Read(Options({100001, 1}), &result_);
  EXPECT_EQ(status.code_name(), "ERR_TRUNCATED");
  EXPECT_NE(status.message().find("100001"), std::string::npos);
}

TEST_P(ReaderTest, ShrinksWhileItIsRead) {
  Prepare(100001);
  ASSERT_EQ(truncate(path_.c_str(), 70003), 0);
  const Status status = reader_->Read(Options({100001}), &result_);
  EXPECT_EQ(status.code_name(), "ERR_TRUNCATED");
  EXPECT_NE(status.message().find("70003"), std::string::npos) << status.message();
}

TEST_P(ReaderTest, Abort) {
  operations_.on_transfer = [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
  Prepare(8 << 20);
  ReadOptions options = Options({8 << 20});
  const auto flag = std::make_shared<AbortFlag>(false);
  options.abort = flag;
  std::thread aborter([flag] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    flag->store(true);
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(reader_->Read(std::move(options), &result_).code_name(), "ERR_ABORTED");
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(std::chrono::duration<double>(took).count(), 0.25);
  aborter.join();
  reader_->Abort();
  EXPECT_EQ(reader_->Read(Options({10}), &result_).code_name(), "ERR_ABORTED");
}

TEST_P(ReaderTest, FallsBackWhenTheFirstDirectReadIsRefused) {
  operations_.Add({"pread", 1, true, EINVAL, 0, true});
  Prepare(300000);
  if (!reader_->direct()) GTEST_SKIP() << "no direct I/O here: " << reader_->direct_reason();
  ASSERT_TRUE(reader_->Read(Options({300000}), &result_).ok());
  EXPECT_FALSE(result_.direct);
  EXPECT_EQ(result_.crc32c, Crc32c(bytes_.data(), bytes_.size()));
}

TEST_P(ReaderTest, SeveralReadsAtOnce) {
  Prepare(2000000);
  std::vector<std::thread> threads;
  for (int index = 0; index < 4; ++index) {
    threads.emplace_back([&, index] {
      TransferResult result;
      const uint64_t offset = static_cast<uint64_t>(index) * 65536;
      ASSERT_TRUE(reader_->Read(Options({1000000}, 65536, offset), &result).ok());
      EXPECT_EQ(result.crc32c, Crc32c(bytes_.data() + offset, 1000000));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Both, ReaderTest,
                         testing::Values(EngineKind::kThreads, EngineKind::kUring), NameOfEngine);

}  // namespace
}  // namespace holdfast
