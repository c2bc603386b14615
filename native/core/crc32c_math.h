// Polynomials over GF(2) modulo the CRC32C polynomial, reflected: bit 31 is the coefficient of x^0.
// Everything is constexpr and has internal linkage: this header is included by files that are
// compiled for one instruction set, and nothing compiled there may be shared with other files.
#ifndef HOLDFAST_CORE_CRC32C_MATH_H_
#define HOLDFAST_CORE_CRC32C_MATH_H_

#include <stddef.h>
#include <stdint.h>

namespace holdfast {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;

// a · b mod P. Branch-free: the operands are checksums, as good as random, and a branch per bit
// would be mispredicted half the time.
[[maybe_unused]] constexpr uint32_t Multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int bit = 31; bit >= 0; --bit) {
    product ^= b & (0U - ((a >> bit) & 1));
    b = (b >> 1) ^ (kPolynomial & (0U - (b & 1)));
  }
  return product;
}

// x^exponent mod P.
[[maybe_unused]] constexpr uint32_t PowerOfX(uint64_t exponent) {
  uint32_t result = 0x80000000;  // x^0
  uint32_t square = 0x40000000;  // x^1
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = Multiply(result, square);
    square = Multiply(square, square);
  }
  return result;
}

// Multiplies a CRC state by x^(8 · bytes), that is, feeds it that many zero bytes, by four
// look-ups.
struct ShiftTable {
  uint32_t entry[4][256];

  constexpr explicit ShiftTable(uint64_t bytes) : entry() {
    const uint32_t power = PowerOfX(8 * bytes);
    for (uint32_t byte = 0; byte < 4; ++byte) {
      for (uint32_t bit = 0; bit < 8; ++bit) {
        const uint32_t value = Multiply(uint32_t{1} << (8 * byte + bit), power);
        for (uint32_t rest = 0; rest < (1U << bit); ++rest) {
          entry[byte][(1U << bit) | rest] = entry[byte][rest] ^ value;
        }
      }
    }
  }
  constexpr uint32_t Apply(uint32_t state) const {
    return entry[0][state & 255] ^ entry[1][(state >> 8) & 255] ^ entry[2][(state >> 16) & 255] ^
           entry[3][state >> 24];
  }
};

}  // namespace
}  // namespace holdfast

#endif  // HOLDFAST_CORE_CRC32C_MATH_H_
