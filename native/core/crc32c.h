// CRC32C (Castagnoli), as in iSCSI, ext4 and SSE4.2: reflected, initial value and final XOR all
// ones. The CRC of no bytes is 0. Everything here is thread-safe and never fails.
#ifndef HOLDFAST_CORE_CRC32C_H_
#define HOLDFAST_CORE_CRC32C_H_

#include <cstddef>
#include <cstdint>

namespace holdfast {

// CRC of `bytes` bytes at `data`. With the CRC of what came before as `seed` it goes on from there:
// Crc32c(b, Crc32c(a)) == Crc32c(a ‖ b).
uint32_t Crc32c(const void* data, size_t bytes, uint32_t seed = 0);

// CRC of A ‖ B from the CRCs of A and B and the length of B in bytes, without the bytes.
uint32_t Crc32cCombine(uint32_t first, uint32_t second, uint64_t second_bytes);

// One way to compute it. `function` has the meaning of Crc32c.
struct Crc32cImplementation {
  const char* name;
  uint32_t (*function)(const uint8_t* data, size_t bytes, uint32_t seed);
};

// Those that this processor runs, the fastest first; `portable` is always there and always last.
// `*count` says how many. The array lives for ever.
const Crc32cImplementation* Crc32cImplementations(size_t* count);

}  // namespace holdfast

#endif  // HOLDFAST_CORE_CRC32C_H_
