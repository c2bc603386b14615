#include "core/crc32c.h"
#include "core/crc32c_math.h"

namespace holdfast {

namespace {

// x^(8 · value · 256^position) mod P, so that a length costs one multiplication per byte that is
// not zero: a checkpoint of 100,000 small tensors combines in milliseconds.
struct PowerTable {
  uint32_t entry[8][256];

  constexpr PowerTable() : entry() {
    for (uint32_t position = 0; position < 8; ++position) {
      uint32_t unit = PowerOfX(8);
      for (uint32_t step = 0; step < 8 * position; ++step) unit = Multiply(unit, unit);
      uint32_t power = 0x80000000;
      for (uint32_t value = 0; value < 256; ++value) {
        entry[position][value] = power;
        power = Multiply(power, unit);
      }
    }
  }
};

constexpr PowerTable kPowers;

}  // namespace

uint32_t Crc32cCombine(uint32_t first, uint32_t second, uint64_t second_bytes) {
  // The initial value and the final XOR, both all ones, cancel out of this formula.
  for (uint32_t position = 0; second_bytes != 0; ++position, second_bytes >>= 8) {
    const uint32_t value = second_bytes & 255;
    if (value != 0) first = Multiply(first, kPowers.entry[position][value]);
  }
  return first ^ second;
}

}  // namespace holdfast
