#include "core/crc32c_variants.h"

#if defined(__x86_64__)

#include <nmmintrin.h>

namespace holdfast {
namespace {

inline uint64_t Step64(uint64_t state, uint64_t word) {
  return _mm_crc32_u64(state, word);
}
inline uint64_t Step8(uint64_t state, uint8_t byte) {
  return _mm_crc32_u8(static_cast<uint32_t>(state), byte);
}

}  // namespace
}  // namespace holdfast

#include "core/crc32c_lanes.h"

namespace holdfast {

uint32_t Crc32cSse42(const uint8_t* data, size_t bytes, uint32_t seed) {
  return ~ExtendByLanes(data, bytes, ~seed);
}

}  // namespace holdfast

#endif
