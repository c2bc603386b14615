#include "core/file.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "core/aligned_memory.h"
#include "test/faulty_operations.h"
#include "test/test_files.h"

namespace holdfast {
namespace {

class FileTest : public testing::Test {
 protected:
  Status Create(DirectMode mode, uint64_t bytes = 0) {
    return File::Create(operations_, path_, mode, 0644, bytes, &file_);
  }
  Status WriteBlocks(size_t blocks, uint64_t offset = 0) {
    AlignedMemory memory;
    EXPECT_TRUE(AlignedMemory::Allocate(blocks * 4096, &memory).ok());
    const std::vector<uint8_t> bytes = RandomBytes(blocks * 4096, 7);
    memcpy(memory.data(), bytes.data(), bytes.size());
    return file_->WriteAt(memory.data(), bytes.size(), offset);
  }

  TestDirectory directory_;
  const std::string path_ = directory_.File("file");
  FaultyOperations operations_;
  std::unique_ptr<File> file_;
};

TEST_F(FileTest, DoesNotReplaceWhatExists) {
  WriteWhole(path_, {1, 2, 3});
  EXPECT_EQ(Create(DirectMode::kOptional).code_name(), "EEXIST");
  EXPECT_EQ(ReadWhole(path_).size(), 3U);
  const std::string link = directory_.File("link");
  ASSERT_EQ(symlink(path_.c_str(), link.c_str()), 0);
  std::unique_ptr<File> file;
  EXPECT_EQ(File::OpenForReading(operations_, link, DirectMode::kOptional, &file).code_name(),
            "ELOOP");
}

TEST_F(FileTest, FallsBackWhereTheFlagIsRefused) {
  operations_.Add({"fcntl", 1, true, EINVAL});
  ASSERT_TRUE(Create(DirectMode::kOptional).ok());
  EXPECT_FALSE(file_->direct());
  EXPECT_NE(file_->direct_reason().find("EINVAL"), std::string::npos);
  EXPECT_TRUE(WriteBlocks(3).ok());
}

TEST_F(FileTest, RequiredDirectFailsAndLeavesNothing) {
  operations_.Add({"fcntl", 1, true, EINVAL});
  const Status status = Create(DirectMode::kRequired);
  EXPECT_EQ(status.code_name(), "ERR_DIRECT_IO");
  EXPECT_EQ(status.path(), path_);
  EXPECT_FALSE(Exists(path_));
}

TEST_F(FileTest, FallsBackWhereTheKernelSaysNo) {
  operations_.override_facts = true;
  operations_.facts.alignment_known = true;
  ASSERT_TRUE(Create(DirectMode::kOptional).ok());
  EXPECT_FALSE(file_->direct());
  EXPECT_NE(file_->direct_reason().find("STATX_DIOALIGN"), std::string::npos);
}

TEST_F(FileTest, TakesLargerAlignmentFromTheKernel) {
  operations_.override_facts = true;
  operations_.facts = {true, 0, true, 512, 65536};
  ASSERT_TRUE(Create(DirectMode::kOptional).ok());
  EXPECT_EQ(file_->alignment(), 65536U);
}

TEST_F(FileTest, FallsBackWhenTheFirstDirectWriteIsRefused) {
  operations_.Add({"pwrite", 1, false, EINVAL});
  ASSERT_TRUE(Create(DirectMode::kOptional).ok());
  if (!file_->direct()) GTEST_SKIP() << "no direct I/O here: " << file_->direct_reason();
  EXPECT_TRUE(WriteBlocks(2).ok());
  EXPECT_FALSE(file_->direct());
  EXPECT_TRUE(file_->Close().ok());
  EXPECT_EQ(ReadWhole(path_), RandomBytes(8192, 7));
}

TEST_F(FileTest, LaterRefusalIsAnError) {
  operations_.Add({"pwrite", 2, false, EINVAL});
  ASSERT_TRUE(Create(DirectMode::kOptional).ok());
  if (!file_->direct()) GTEST_SKIP() << "no direct I/O here: " << file_->direct_reason();
  EXPECT_TRUE(WriteBlocks(1).ok());
  EXPECT_EQ(WriteBlocks(1, 4096).code_name(), "EINVAL");
}

TEST_F(FileTest, ShortWritesAreContinuedAligned) {
  operations_.Add({"pwrite", 1, true, 0, 5000});
  ASSERT_TRUE(Create(DirectMode::kOptional).ok());
  EXPECT_TRUE(WriteBlocks(20).ok());
  EXPECT_FALSE(operations_.misaligned());
  EXPECT_GT(operations_.count("pwrite"), 10U);
  EXPECT_TRUE(file_->Close().ok());
  EXPECT_EQ(ReadWhole(path_), RandomBytes(20 * 4096, 7));
}

TEST_F(FileTest, InterruptionsAreRetriedAndPatienceEnds) {
  operations_.Add({"pwrite", 1, false, EINTR});
  operations_.Add({"pwrite", 2, false, EAGAIN});
  ASSERT_TRUE(Create(DirectMode::kOptional).ok());
  EXPECT_TRUE(WriteBlocks(1).ok());
  EXPECT_EQ(operations_.count("pwrite"), 3U);
  EXPECT_EQ(operations_.count("sleep"), 1U);
  operations_.Add({"pwrite", 1, true, EAGAIN});
  EXPECT_EQ(WriteBlocks(1).code_name(), "EAGAIN");
  EXPECT_LT(operations_.count("pwrite"), 200U);
}

TEST_F(FileTest, FirstErrorPoisons) {
  operations_.Add({"pwrite", 2, false, EIO});
  ASSERT_TRUE(Create(DirectMode::kOptional).ok());
  EXPECT_TRUE(WriteBlocks(1).ok());
  const Status status = WriteBlocks(1, 4096);
  EXPECT_EQ(status.code_name(), "EIO");
  EXPECT_EQ(status.system_call(), "pwrite");
  EXPECT_EQ(status.path(), path_);
  EXPECT_EQ(WriteBlocks(1, 8192).code_name(), "EIO");
  EXPECT_EQ(file_->Truncate(1).code_name(), "EIO");
  EXPECT_EQ(file_->Sync().code_name(), "EIO");
  EXPECT_EQ(operations_.count("pwrite"), 2U);
  EXPECT_EQ(operations_.count("fsync"), 0U);
  EXPECT_EQ(operations_.count("ftruncate"), 0U);
}

TEST_F(FileTest, FailedSyncIsNeverRetried) {
  for (const int error : {EIO, ENOSPC, EDQUOT, EINTR}) {
    FaultyOperations operations;
    operations.Add({"fsync", 1, false, error});
    std::unique_ptr<File> file;
    const std::string path = directory_.File("sync" + std::to_string(error));
    ASSERT_TRUE(File::Create(operations, path, DirectMode::kDisabled, 0644, 0, &file).ok());
    EXPECT_EQ(file->Sync().error_number(), error);
    EXPECT_EQ(file->Sync().error_number(), error);
    EXPECT_EQ(operations.count("fsync"), 1U);
  }
}

TEST_F(FileTest, PreallocationFindsAFullDiskAndLeavesNothing) {
  operations_.Add({"fallocate", 1, false, ENOSPC});
  EXPECT_EQ(Create(DirectMode::kOptional, 1 << 20).code_name(), "ENOSPC");
  EXPECT_FALSE(Exists(path_));
}

TEST_F(FileTest, PreallocationIsOptional) {
  operations_.Add({"fallocate", 1, false, EOPNOTSUPP});
  EXPECT_TRUE(Create(DirectMode::kOptional, 1 << 20).ok());
  EXPECT_EQ(operations_.count("ftruncate"), 1U);
}

TEST_F(FileTest, PreallocationGoesOnAfterAnInterruption) {
  operations_.Add({"fallocate", 1, false, EINTR});
  operations_.Add({"fallocate", 2, false, EOPNOTSUPP});
  operations_.Add({"ftruncate", 1, false, EINTR});
  EXPECT_TRUE(Create(DirectMode::kOptional, 1 << 20).ok());
  EXPECT_EQ(operations_.count("ftruncate"), 2U);
}

TEST_F(FileTest, CloseReportsItsErrorOnce) {
  operations_.Add({"close", 1, true, EDQUOT});
  ASSERT_TRUE(Create(DirectMode::kOptional).ok());
  EXPECT_EQ(file_->Close().code_name(), "EDQUOT");
  EXPECT_TRUE(file_->Close().ok());
  EXPECT_EQ(operations_.count("close"), 1U);
}

TEST_F(FileTest, ReadsToTheEndThroughShortReads) {
  const std::vector<uint8_t> bytes = RandomBytes(50001, 8);
  WriteWhole(path_, bytes);
  operations_.Add({"pread", 1, true, 0, 9000});
  ASSERT_TRUE(File::OpenForReading(operations_, path_, DirectMode::kOptional, &file_).ok());
  AlignedMemory memory;
  ASSERT_TRUE(AlignedMemory::Allocate(65536, &memory).ok());
  size_t count;
  ASSERT_TRUE(file_->ReadAt(memory.data(), 65536, 65536, 0, &count).ok());
  EXPECT_EQ(count, bytes.size());
  EXPECT_EQ(memcmp(memory.data(), bytes.data(), bytes.size()), 0);
  EXPECT_FALSE(operations_.misaligned());
}

TEST_F(FileTest, RefusesWhatIsNoRegularFile) {
  std::unique_ptr<File> file;
  EXPECT_EQ(File::OpenForReading(operations_, "/tmp", DirectMode::kOptional, &file).code_name(),
            "ERR_INVALID_ARGUMENT");
}

}  // namespace
}  // namespace holdfast
