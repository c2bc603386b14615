#include "core/arena.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "core/counters.h"

namespace holdfast {
namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20;

size_t ResidentPages(const uint8_t* data, size_t bytes) {
  const size_t page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((bytes + page_bytes - 1) / page_bytes);
  EXPECT_EQ(mincore(const_cast<uint8_t*>(data), bytes, pages.data()), 0);
  return static_cast<size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}

size_t Pages(uint64_t bytes) {
  const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page_bytes - 1) / page_bytes;
}

class ArenaTest : public testing::Test {
 protected:
  uint64_t Create(uint64_t owner, uint64_t bytes) {
    uint64_t handle = 0;
    EXPECT_TRUE(arenas_.Create(owner, bytes, &handle).ok());
    return handle;
  }
  // As an environment ends.
  void EndOwner(uint64_t owner) {
    pins_.Revoke(owner);
    pins_.WaitUntilUnused(owner);
    arenas_.CloseOwner(owner);
  }
  void TearDown() override {
    for (const uint64_t owner : {1, 2}) EndOwner(owner);
    EXPECT_EQ(arenas_.size(), 0U);
    EXPECT_EQ(counters().arena_bytes.load(), 0);
    EXPECT_EQ(counters().threads.load(), 0);
  }

  PinTable pins_;
  ArenaTable arenas_{&pins_};
};

TEST_F(ArenaTest, IsUntouchedAlignedMemoryUnderThePinOfItsHandle) {
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, 4096 + 1UL, 3 * kMebibyte}) {
    const uint64_t handle = Create(1, bytes);
    const PinLease pin = pins_.Acquire(handle);
    ASSERT_TRUE(pin);
    EXPECT_EQ(pin->bytes, bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pin->data) % (2 * kMebibyte), 0U);
    if (bytes != 0) {
      EXPECT_EQ(ResidentPages(pin->data, bytes), 0U);
      EXPECT_EQ(pin->data[0], 0);
      EXPECT_EQ(pin->data[bytes - 1], 0);
    }
  }
  EXPECT_EQ(arenas_.size(), 4U);
  EXPECT_EQ(counters().arena_bytes.load(), static_cast<int64_t>(9 * kMebibyte));
  EXPECT_EQ(pins_.size(), 0U) << "an arena is not counted as a caller's memory";
  EXPECT_EQ(counters().staging_bytes.load(), 0);
}

TEST_F(ArenaTest, MoreThanThereIsIsRefused) {
  uint64_t handle;
  EXPECT_EQ(arenas_.Create(1, (uint64_t{1} << 53) - 1, &handle).code_name(), "ENOMEM");
}

TEST_F(ArenaTest, HandlesAreOfOneOwnerAndEndOnce) {
  const uint64_t handle = Create(1, kMebibyte);
  const uint64_t other = pins_.Add(1, nullptr, 0);
  ArenaLease arena;
  EXPECT_FALSE(arenas_.Find(handle, 2, &arena));
  EXPECT_FALSE(arenas_.Find(handle + 100, 1, &arena));
  EXPECT_FALSE(arenas_.Find(other, 1, &arena)) << "a pin that is no arena";
  EXPECT_FALSE(arenas_.Release(handle, 2));
  EXPECT_FALSE(arenas_.Release(other, 1));
  ASSERT_TRUE(arenas_.Find(handle, 1, &arena));
  arena = ArenaLease();
  EXPECT_TRUE(arenas_.Release(handle, 1));
  EXPECT_EQ(arenas_.size(), 0U);
  EXPECT_EQ(counters().arena_bytes.load(), 0);
  EXPECT_FALSE(arenas_.Release(handle, 1));
  EXPECT_FALSE(arenas_.Find(handle, 1, &arena));
  EXPECT_FALSE(pins_.Acquire(handle));
}

TEST_F(ArenaTest, ReleasedMemoryStaysUntilItsLastUserIsGone) {
  const uint64_t handle = Create(1, 4 * kMebibyte);
  PinLease first = pins_.Acquire(handle);
  PinLease second = pins_.Acquire(handle);
  EXPECT_TRUE(arenas_.Release(handle, 1));
  EXPECT_FALSE(arenas_.Release(handle, 1)) << "released before, though it is still there";
  EXPECT_FALSE(pins_.Acquire(handle));
  first.Release();
  ASSERT_EQ(arenas_.size(), 1U);
  memset(second->data, 7, second->bytes);  // ends the program if it is gone
  EXPECT_EQ(second->data[second->bytes - 1], 7);
  second.Release();
  EXPECT_EQ(arenas_.size(), 0U);
  EXPECT_EQ(counters().arena_bytes.load(), 0);
}

// Released, still in use, and then its owner ends: nobody is called back any more.
TEST_F(ArenaTest, EndOfOwnerWaitsForUsersOfReleasedMemoryToo) {
  for (const bool release : {false, true}) {
    const uint64_t handle = Create(1, 4 * kMebibyte);
    const uint64_t kept = Create(2, 1);
    PinLease lease = pins_.Acquire(handle);
    if (release) {
      EXPECT_TRUE(arenas_.Release(handle, 1));
    }
    std::thread user([&] {
      while (!lease->revoked.load()) memset(lease->data, 7, lease->bytes);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      memset(lease->data, 8, lease->bytes);
      lease.Release();
    });
    EndOwner(1);
    EXPECT_EQ(arenas_.size(), 1U);
    user.join();
    EXPECT_TRUE(arenas_.Release(kept, 2));
    EXPECT_EQ(arenas_.size(), 0U);
  }
}

TEST_F(ArenaTest, ReleasingInARaceWithItsUsers) {
  for (int round = 0; round < 200; ++round) {
    const uint64_t handle = Create(1, 4096);
    std::atomic<int> ready{0};
    std::vector<std::thread> users;
    for (int user = 0; user < 3; ++user) {
      users.emplace_back([&] {
        ++ready;
        for (;;) {
          const PinLease lease = pins_.Acquire(handle);
          if (!lease) return;
          // Readers, as writers to files are.
          if (lease->data[0] != 0) ADD_FAILURE();
        }
      });
    }
    while (ready.load() < 3) std::this_thread::yield();
    if (round % 3 != 0) {
      EXPECT_TRUE(arenas_.Release(handle, 1));
    }
    if (round % 3 != 1) EndOwner(1);
    for (std::thread& user : users) user.join();
    EXPECT_EQ(arenas_.size(), 0U);
  }
}

TEST_F(ArenaTest, PrefaultingMakesEveryPageResidentAndChangesNothing) {
  for (const uint64_t bytes : {uint64_t{1}, 3 * kMebibyte + 5, 40 * kMebibyte}) {
    const uint64_t handle = Create(1, bytes);
    ArenaLease arena;
    ASSERT_TRUE(arenas_.Find(handle, 1, &arena));
    arena.memory->data[bytes - 1] = 9;
    ASSERT_TRUE(Prefault(arena).ok());
    EXPECT_EQ(ResidentPages(arena.memory->data, bytes), Pages(bytes));
    EXPECT_EQ(arena.memory->data[bytes - 1], 9);
    ASSERT_TRUE(Prefault(arena).ok());
    EXPECT_EQ(arena.memory->data[bytes - 1], 9);
  }
}

TEST_F(ArenaTest, PrefaultingByTouchingDoesTheSame) {
  const uint64_t bytes = 3 * kMebibyte + 5;
  const uint64_t handle = Create(1, bytes);
  const PinLease pin = pins_.Acquire(handle);
  pin->data[4096] = 9;
  FaultInByTouching(pin->data, bytes);
  EXPECT_EQ(ResidentPages(pin->data, bytes), Pages(bytes));
  EXPECT_EQ(pin->data[4096], 9);
}

TEST_F(ArenaTest, PrefaultingEndsWhenNobodyWantsTheMemory) {
  for (const bool release : {false, true}) {
    const uint64_t bytes = uint64_t{1} << 30;  // never touched
    const uint64_t handle = Create(1, bytes);
    ArenaLease arena;
    ASSERT_TRUE(arenas_.Find(handle, 1, &arena));
    if (release) {
      EXPECT_TRUE(arenas_.Release(handle, 1));
    } else {
      pins_.Revoke(1);
    }
    EXPECT_EQ(Prefault(arena).code_name(), "ERR_ABORTED");
    EXPECT_EQ(ResidentPages(arena.memory->data, bytes), 0U);
    arena = ArenaLease();
    EndOwner(1);
  }
}

TEST_F(ArenaTest, PrefaultingReportsWhatTheSystemSays) {
  void* const data =
      mmap(nullptr, kMebibyte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(data, MAP_FAILED);
  if (madvise(data, kMebibyte, MADV_POPULATE_WRITE) != 0) {
    GTEST_SKIP() << "this kernel does not know the call: " << strerror(errno);
  }
  ASSERT_EQ(munmap(data, kMebibyte), 0);
  ArenaLease arena;
  arena.memory = pins_.Acquire(pins_.Add(1, static_cast<uint8_t*>(data), kMebibyte));
  arena.released = std::make_shared<AbortFlag>(false);
  const Status status = Prefault(arena);
  EXPECT_EQ(status.code_name(), "ENOMEM");
  EXPECT_EQ(status.system_call(), "madvise");
  arena = ArenaLease();
}

}  // namespace
}  // namespace holdfast
