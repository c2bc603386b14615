// Slicing-by-16: sixteen look-ups for sixteen bytes, independent of each other.
#include <cstring>

#include "core/crc32c_math.h"
#include "core/crc32c_variants.h"

namespace holdfast {

namespace {

struct SlicingTable {
  // entry[k][v]: the state after byte v and k further zero bytes.
  uint32_t entry[16][256];

  constexpr SlicingTable() : entry() {
    for (uint32_t value = 0; value < 256; ++value) {
      uint32_t state = value;
      for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ (kPolynomial & (0U - (state & 1)));
      entry[0][value] = state;
    }
    for (uint32_t slice = 1; slice < 16; ++slice) {
      for (uint32_t value = 0; value < 256; ++value) {
        const uint32_t state = entry[slice - 1][value];
        entry[slice][value] = (state >> 8) ^ entry[0][state & 255];
      }
    }
  }
};

constexpr SlicingTable kTable;

uint32_t LoadLittleEndian(const uint8_t* data) {
  uint32_t value;
  memcpy(&value, data, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap32(value);
#endif
  return value;
}

uint32_t Slice(uint32_t word, int top) {
  return kTable.entry[top][word & 255] ^ kTable.entry[top - 1][(word >> 8) & 255] ^
         kTable.entry[top - 2][(word >> 16) & 255] ^ kTable.entry[top - 3][word >> 24];
}

}  // namespace

uint32_t Crc32cPortable(const uint8_t* data, size_t bytes, uint32_t seed) {
  uint32_t state = ~seed;
  for (; bytes >= 16; data += 16, bytes -= 16) {
    state = Slice(LoadLittleEndian(data) ^ state, 15) ^ Slice(LoadLittleEndian(data + 4), 11) ^
            Slice(LoadLittleEndian(data + 8), 7) ^ Slice(LoadLittleEndian(data + 12), 3);
  }
  for (; bytes > 0; ++data, --bytes) {
    state = (state >> 8) ^ kTable.entry[0][(state ^ *data) & 255];
  }
  return ~state;
}

}  // namespace holdfast
