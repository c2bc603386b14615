// No memory, at any allocation of a transfer: an error and an end, whichever engine it is.
#include <dlfcn.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include <atomic>
#include <new>
#include <thread>
#include <vector>

#include "core/crc32c.h"
#include "core/stream_reader.h"
#include "core/stream_writer.h"
#include "core/thread_engine.h"
#include "test/engines.h"
#include "test/test_files.h"

namespace {

// Counts down with the allocations of the whole program; the one that makes it 0 fails.
std::atomic<int64_t> allocations_left{-1};
// Whether the system has no thread to give.
std::atomic<bool> no_threads{false};

}  // namespace

// Found before the C library's own.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const Create create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return no_threads.load() ? EAGAIN : create(thread, attributes, body, argument);
}

// Not inlined: compilers complain of memory from new that is given to free.
[[gnu::noinline]] void* operator new(size_t bytes) {
  if (allocations_left.load(std::memory_order_relaxed) >= 0 && allocations_left.fetch_sub(1) == 0) {
    throw std::bad_alloc();
  }
  void* const memory = malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
  free(memory);
}

namespace holdfast {
namespace {

class OutOfMemoryTest : public EngineTest {
 protected:
  const TestDirectory directory_;
  const std::string path_ = directory_.File("file");
  const std::vector<uint8_t> bytes_ = RandomBytes(600001, 71);

  Status Write() {
    WriterOptions options;
    options.spans = {bytes_.size()};
    options.chunk_bytes = 1 << 20;
    options.operation_bytes = 64 << 10;
    options.queue_depth = 4;
    options.engine = GetParam();
    std::unique_ptr<StreamWriter> writer;
    HOLDFAST_RETURN_IF_ERROR(StreamWriter::Open(path_, std::move(options), &writer));
    Source source;
    source.pieces.push_back({bytes_.data(), bytes_.size()});
    HOLDFAST_RETURN_IF_ERROR(writer->Write(std::move(source)));
    TransferResult result;
    HOLDFAST_RETURN_IF_ERROR(writer->Finish(&result));
    EXPECT_EQ(result.crc32c, Crc32c(bytes_.data(), bytes_.size()));
    return Status::Ok();
  }
  Status Read() {
    std::unique_ptr<StreamReader> reader;
    HOLDFAST_RETURN_IF_ERROR(
        StreamReader::Open(path_, DirectMode::kOptional, Operations::System(), &reader));
    ReadOptions options;
    options.spans = {bytes_.size()};
    options.destinations = {nullptr};
    options.chunk_bytes = 1 << 20;
    options.operation_bytes = 64 << 10;
    options.queue_depth = 4;
    options.engine = GetParam();
    TransferResult result;
    HOLDFAST_RETURN_IF_ERROR(reader->Read(std::move(options), &result));
    EXPECT_EQ(result.crc32c, Crc32c(bytes_.data(), bytes_.size()));
    return Status::Ok();
  }
  // Runs `action` with every allocation failing in turn, until it needs no more of them.
  template <typename Action>
  void FailEveryAllocation(Action action) {
    unsigned failures = 0;
    for (int64_t nth = 0;; ++nth) {
      ASSERT_LT(nth, 5000);
      allocations_left = nth;
      bool failed = false;
      try {
        const Status status = action();
        failed = !status.ok();
        if (failed) {
          EXPECT_EQ(status.error_number(), ENOMEM) << status.message();
        }
      } catch (const std::bad_alloc&) {
        failed = true;  // on this thread: its caller makes an error of it
      }
      const bool reached = allocations_left.exchange(-1) < 0;
      failures += failed ? 1 : 0;
      ASSERT_EQ(counters().threads.load(), 0);
      ASSERT_EQ(counters().staging_bytes.load(), 0);
      if (!reached) break;
    }
    EXPECT_GT(failures, 10U);
  }
};

TEST_P(OutOfMemoryTest, WhileAFileIsWritten) {
  FailEveryAllocation([&] {
    unlink(path_.c_str());
    return Write();
  });
  EXPECT_EQ(ReadWhole(path_), bytes_);
}

TEST_P(OutOfMemoryTest, WhileAFileIsRead) {
  WriteWhole(path_, bytes_);
  FailEveryAllocation([&] { return Read(); });
}

// Whoever starts threads has others running, and only an answer lets it wait for them.
TEST(StartThreadTest, AnswersAlsoWithoutMemoryForTheWords) {
  bool said = false;
  for (int64_t nth = 0; !said; ++nth) {
    ASSERT_LT(nth, 100);
    std::thread thread;
    Status status;
    no_threads = true;
    allocations_left = nth;
    EXPECT_NO_THROW(status = StartThread([] {}, &thread)) << nth;
    allocations_left = -1;
    no_threads = false;
    EXPECT_FALSE(status.ok()) << nth;
    EXPECT_FALSE(thread.joinable());
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    EXPECT_FALSE(sigismember(&blocked, SIGTERM)) << nth;
    said = status.error_number() == EAGAIN;
  }
}

INSTANTIATE_TEST_SUITE_P(Both, OutOfMemoryTest,
                         testing::Values(EngineKind::kThreads, EngineKind::kUring), NameOfEngine);

}  // namespace
}  // namespace holdfast
