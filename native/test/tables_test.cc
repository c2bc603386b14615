#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "core/abort.h"
#include "core/digest.h"
#include "core/pin_table.h"
#include "core/system_probe.h"
#include "test/test_files.h"

namespace holdfast {
namespace {

TEST(PinTableTest, HandlesAreForgottenAtOnceAndMemoryWhenUnused) {
  PinTable table;
  uint8_t memory[8];
  const uint64_t pin = table.Add(1, memory, 8);
  bool called = false;
  EXPECT_EQ(table.Unpin(pin + 1, 1, nullptr), PinTable::UnpinResult::kUnknown);
  EXPECT_EQ(table.Unpin(pin, 2, nullptr), PinTable::UnpinResult::kNotOwner);
  {
    const PinLease lease = table.Acquire(pin);
    ASSERT_TRUE(lease);
    EXPECT_EQ(table.Unpin(pin, 1, [&] { called = true; }), PinTable::UnpinResult::kDeferred);
    EXPECT_FALSE(table.Acquire(pin));
    EXPECT_EQ(table.size(), 0U);
    EXPECT_FALSE(called);
  }
  EXPECT_TRUE(called);
  const uint64_t other = table.Add(1, memory, 8);
  EXPECT_EQ(table.Unpin(other, 1, nullptr), PinTable::UnpinResult::kReleased);
}

TEST(PinTableTest, EndOfOwnerWaitsForEveryLease) {
  PinTable table;
  uint8_t memory[8];
  const uint64_t pin = table.Add(1, memory, 8);
  const uint64_t kept = table.Add(2, memory, 8);
  PinLease lease = table.Acquire(pin);
  std::atomic<bool> released{false};
  std::thread user([&] {
    while (!lease->revoked.load()) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    released = true;
    lease.Release();
  });
  table.Revoke(1);
  EXPECT_FALSE(table.Acquire(pin));
  table.WaitUntilUnused(1);
  EXPECT_TRUE(released.load());
  user.join();
  EXPECT_TRUE(table.Acquire(kept));
  table.Revoke(3);
  table.WaitUntilUnused(3);  // owns nothing
}

// Unpinned memory with leases out still belongs to its owner's end.
TEST(PinTableTest, EndOfOwnerWaitsForUnpinnedMemoryToo) {
  PinTable table;
  uint8_t memory[8];
  const uint64_t pin = table.Add(1, memory, 8);
  PinLease lease = table.Acquire(pin);
  bool called = false;
  EXPECT_EQ(table.Unpin(pin, 1, [&] { called = true; }), PinTable::UnpinResult::kDeferred);
  std::atomic<bool> released{false};
  std::thread user([&] {
    while (!lease->revoked.load()) std::this_thread::yield();
    released = true;
    lease.Release();
  });
  table.Revoke(1);
  table.WaitUntilUnused(1);
  EXPECT_TRUE(released.load());
  user.join();
  EXPECT_FALSE(called);
}

TEST(AbortTableTest, TokensEndWithTheirOwner) {
  AbortTable table;
  const uint64_t mine = table.Create(1);
  const uint64_t other = table.Create(2);
  const auto flag = table.Find(mine);
  EXPECT_FALSE(flag->load());
  table.ReleaseOwner(1);
  EXPECT_TRUE(flag->load());
  EXPECT_EQ(table.Find(mine), nullptr);
  EXPECT_FALSE(table.Find(other)->load());
  EXPECT_TRUE(table.Release(other));
  EXPECT_FALSE(table.Release(other));
  EXPECT_EQ(table.size(), 0U);
}

TEST(DigestTest, PartsInAnyOrder) {
  const std::vector<uint8_t> bytes = RandomBytes(10000, 41);
  Layout layout;
  ASSERT_TRUE(Layout::Make({0, 3000, 0, 1, 6999, 0}, 700, &layout).ok());
  Digest digest(&layout);
  const uint64_t cuts[] = {0, 1, 2999, 3001, 7000, 10000};
  for (const int part : {3, 0, 4, 2, 1}) {
    PartDigest sums;
    sums.Begin(&layout, cuts[part]);
    for (uint64_t at = cuts[part]; at < cuts[part + 1];) {
      const uint64_t step = std::min<uint64_t>(997, cuts[part + 1] - at);
      sums.Update(bytes.data() + at, step);
      at += step;
    }
    sums.End();
    EXPECT_FALSE(digest.complete());
    digest.Add(std::move(sums));
  }
  EXPECT_TRUE(digest.complete());
  EXPECT_EQ(digest.Crc(), NaiveCrc(bytes.data(), bytes.size()));
  EXPECT_EQ(digest.spans()[0], 0U);
  EXPECT_EQ(digest.spans()[1], NaiveCrc(bytes.data(), 3000));
  EXPECT_EQ(digest.spans()[3], NaiveCrc(bytes.data() + 3000, 1));
  EXPECT_EQ(digest.spans()[4], NaiveCrc(bytes.data() + 3001, 6999));
  ASSERT_EQ(digest.chunks().size(), 15U);
  EXPECT_EQ(digest.chunks()[14], NaiveCrc(bytes.data() + 9800, 200));
}

TEST(SystemProbeTest, LocksExcludeOtherDescriptorsOfThisProcess) {
  const TestDirectory directory;
  const std::string path = directory.File("lock");
  int first, second;
  EXPECT_EQ(LockFile(path, &first).code_name(), "ENOENT");
  WriteWhole(path, {1});
  ASSERT_TRUE(LockFile(path, &first).ok());
  EXPECT_EQ(LockFile(path, &second).code_name(), "EAGAIN");
  UnlockFile(first);
  ASSERT_TRUE(LockFile(path, &second).ok());
  UnlockFile(second);
}

TEST(SystemProbeTest, RenameKeepsWhatIsThere) {
  const TestDirectory directory;
  const std::string from = directory.File("from"), to = directory.File("to");
  WriteWhole(from, {1});
  ASSERT_TRUE(RenameNoReplace(from, to).ok());
  WriteWhole(from, {2});
  EXPECT_EQ(RenameNoReplace(from, to).code_name(), "EEXIST");
  EXPECT_EQ(ReadWhole(to), std::vector<uint8_t>{1});
}

TEST(SystemProbeTest, SaysSomethingOfEveryPath) {
  const TestDirectory directory;
  ProbeResult result;
  WriteWhole(directory.File("file"), {1});
  ASSERT_TRUE(Probe(directory.File("file"), &result).ok());
  EXPECT_FALSE(result.file_system.empty());
  EXPECT_FALSE(result.reason.empty());
  ASSERT_TRUE(Probe(directory.File("."), &result).ok());
  EXPECT_EQ(result.direct, result.offset_alignment != 0);
  EXPECT_EQ(Probe(directory.File("missing"), &result).code_name(), "ENOENT");
  EXPECT_EQ(Probe("/dev/null", &result).code_name(), "ERR_INVALID_ARGUMENT");
  ASSERT_TRUE(Probe("/proc", &result).ok());
  EXPECT_FALSE(result.direct);
  std::string reason;
  (void)ProbeIoUring(&reason);
  EXPECT_FALSE(reason.empty());
}

}  // namespace
}  // namespace holdfast
