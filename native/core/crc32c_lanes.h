// A CRC instruction has a latency of three cycles but starts every cycle: independent lanes keep it
// busy. Include after defining in the enclosing anonymous namespace
//   uint64_t Step64(uint64_t state, uint64_t word);
//   uint64_t Step8(uint64_t state, uint8_t byte);
#ifndef HOLDFAST_CORE_CRC32C_LANES_H_
#define HOLDFAST_CORE_CRC32C_LANES_H_

#include <string.h>

#include "core/crc32c_math.h"

namespace holdfast {
namespace {

constexpr size_t kLongLane = 4096;
constexpr size_t kShortLane = 256;
constexpr ShiftTable kLongShift(kLongLane);
constexpr ShiftTable kShortShift(kShortLane);

inline uint64_t LoadWord(const uint8_t* data) {
  uint64_t word;
  memcpy(&word, data, sizeof word);
  return word;
}

// Four lanes of kLane bytes each: one more than the latency asks for, so that a delayed load in one
// lane leaves the unit work. Lanes are joined by shifting the earlier one over the later one's
// length.
template <size_t kLane>
uint64_t FourLanes(const uint8_t* data, uint64_t state, const ShiftTable& shift) {
  uint64_t a = state, b = 0, c = 0, d = 0;
  for (size_t at = 0; at < kLane; at += 8) {
    a = Step64(a, LoadWord(data + at));
    b = Step64(b, LoadWord(data + at + kLane));
    c = Step64(c, LoadWord(data + at + 2 * kLane));
    d = Step64(d, LoadWord(data + at + 3 * kLane));
  }
  b ^= shift.Apply(static_cast<uint32_t>(a));
  c ^= shift.Apply(static_cast<uint32_t>(b));
  return d ^ shift.Apply(static_cast<uint32_t>(c));
}

// Takes and gives the inner state, not the final CRC.
inline uint32_t ExtendByLanes(const uint8_t* data, size_t bytes, uint32_t initial) {
  uint64_t state = initial;
  for (; bytes >= 4 * kLongLane; data += 4 * kLongLane, bytes -= 4 * kLongLane) {
    state = FourLanes<kLongLane>(data, state, kLongShift);
  }
  for (; bytes >= 4 * kShortLane; data += 4 * kShortLane, bytes -= 4 * kShortLane) {
    state = FourLanes<kShortLane>(data, state, kShortShift);
  }
  for (; bytes >= 8; data += 8, bytes -= 8) state = Step64(state, LoadWord(data));
  for (; bytes > 0; ++data, --bytes) state = Step8(state, *data);
  return static_cast<uint32_t>(state);
}

}  // namespace
}  // namespace holdfast

#endif  // HOLDFAST_CORE_CRC32C_LANES_H_
