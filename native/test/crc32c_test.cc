#include "core/crc32c.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "test/test_files.h"

namespace holdfast {
namespace {

// Every variant passes the same suite.
class Crc32cTest : public testing::TestWithParam<Crc32cImplementation> {
 protected:
  uint32_t Crc(const void* data, size_t bytes, uint32_t seed = 0) const {
    return GetParam().function(static_cast<const uint8_t*>(data), bytes, seed);
  }
};

std::vector<Crc32cImplementation> All() {
  size_t count;
  const Crc32cImplementation* list = Crc32cImplementations(&count);
  return {list, list + count};
}

std::string Name(const testing::TestParamInfo<Crc32cImplementation>& information) {
  std::string name = information.param.name;
  for (char& letter : name) {
    if (!isalnum(letter)) letter = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Variants, Crc32cTest, testing::ValuesIn(All()), Name);

TEST_P(Crc32cTest, KnownAnswers) {
  uint8_t block[32];
  EXPECT_EQ(Crc("123456789", 9), 0xe3069283U);
  EXPECT_EQ(Crc("", 0), 0U);
  EXPECT_EQ(Crc(nullptr, 0), 0U);
  EXPECT_EQ(Crc("a", 1), 0xc1d04330U);
  memset(block, 0, sizeof block);
  EXPECT_EQ(Crc(block, 32), 0x8a9136aaU);
  memset(block, 0xff, sizeof block);
  EXPECT_EQ(Crc(block, 32), 0x62a8ab43U);
  for (uint8_t i = 0; i < 32; ++i) block[i] = i;
  EXPECT_EQ(Crc(block, 32), 0x46dd794eU);
  for (uint8_t i = 0; i < 32; ++i) block[i] = static_cast<uint8_t>(31 - i);
  EXPECT_EQ(Crc(block, 32), 0x113fdb5cU);
  const uint8_t iscsi_read[48] = {0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
                                  0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
                                  0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
  EXPECT_EQ(Crc(iscsi_read, 48), 0xd9963a56U);
}

TEST_P(Crc32cTest, EveryLengthAtEveryAlignment) {
  const std::vector<uint8_t> bytes = RandomBytes(400, 1);
  for (size_t begin = 0; begin < 16; ++begin) {
    for (size_t length = 0; length <= 320; ++length) {
      ASSERT_EQ(Crc(&bytes[begin], length), NaiveCrc(&bytes[begin], length))
          << begin << " " << length;
    }
  }
}

// Lengths around each variant's block sizes.
TEST_P(Crc32cTest, LongerLengths) {
  const std::vector<uint8_t> bytes = RandomBytes(70000, 2);
  for (const size_t block : {512, 1024, 4096, 8192, 16384, 65536}) {
    for (size_t length = block - 9; length <= block + 9; ++length) {
      for (const size_t begin : {0, 1, 7}) {
        ASSERT_EQ(Crc(&bytes[begin], length), NaiveCrc(&bytes[begin], length)) << length;
      }
    }
  }
}

TEST_P(Crc32cTest, EverySplitPointBySeedAndByCombination) {
  const std::vector<uint8_t> bytes = RandomBytes(2100, 3);
  const uint32_t whole = NaiveCrc(bytes.data(), bytes.size());
  for (size_t split = 0; split <= bytes.size(); ++split) {
    const uint32_t first = Crc(bytes.data(), split);
    ASSERT_EQ(Crc(bytes.data() + split, bytes.size() - split, first), whole) << split;
    const uint32_t second = Crc(bytes.data() + split, bytes.size() - split);
    ASSERT_EQ(Crc32cCombine(first, second, bytes.size() - split), whole) << split;
  }
}

TEST_P(Crc32cTest, FindsEveryFlippedBit) {
  std::vector<uint8_t> bytes = RandomBytes(1500, 4);
  const uint32_t whole = Crc(bytes.data(), bytes.size());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    ASSERT_NE(Crc(bytes.data(), bytes.size()), whole) << bit;
    bytes[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
  }
}

TEST_P(Crc32cTest, AgreesWithPortableOnLargeBuffers) {
  const std::vector<uint8_t> bytes = RandomBytes((1 << 20) + 77, 5);
  const auto portable = All().back();
  ASSERT_STREQ(portable.name, "portable");
  for (const size_t begin : {0, 3}) {
    EXPECT_EQ(Crc(&bytes[begin], bytes.size() - begin, 99),
              portable.function(&bytes[begin], bytes.size() - begin, 99));
  }
}

TEST(Crc32cCombineTest, LengthsBeyondFourGiB) {
  // Zero bytes in number 2^k, built by doubling: an independent way to the same value.
  uint8_t zero = 0;
  uint32_t crc = Crc32c(&zero, 1);
  uint64_t bytes = 1;
  for (int doubling = 0; doubling < 40; ++doubling) {
    crc = Crc32cCombine(crc, crc, bytes);
    bytes *= 2;
    if (bytes <= (1U << 20)) {
      const std::vector<uint8_t> zeros(bytes);
      ASSERT_EQ(crc, Crc32c(zeros.data(), zeros.size()));
    }
  }
  // A ‖ B ‖ C is the same however it is put together.
  const uint32_t left = Crc32cCombine(Crc32cCombine(1234, 5678, bytes), 9012, bytes + 12345);
  const uint32_t right =
      Crc32cCombine(1234, Crc32cCombine(5678, 9012, bytes + 12345), 2 * bytes + 12345);
  EXPECT_EQ(left, right);
}

}  // namespace
}  // namespace holdfast
