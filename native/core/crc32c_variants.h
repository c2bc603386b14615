// The variants behind crc32c.h, one file each. Every function has the meaning of Crc32c; all but
// the portable one may run only where the processor has the instructions in their name.
#ifndef HOLDFAST_CORE_CRC32C_VARIANTS_H_
#define HOLDFAST_CORE_CRC32C_VARIANTS_H_

#include <stddef.h>
#include <stdint.h>

namespace holdfast {

uint32_t Crc32cPortable(const uint8_t* data, size_t bytes, uint32_t seed);
#if defined(__x86_64__)
uint32_t Crc32cSse42(const uint8_t* data, size_t bytes, uint32_t seed);
uint32_t Crc32cAvx512(const uint8_t* data, size_t bytes, uint32_t seed);
#elif defined(__aarch64__)
uint32_t Crc32cArm64(const uint8_t* data, size_t bytes, uint32_t seed);
#endif

}  // namespace holdfast

#endif  // HOLDFAST_CORE_CRC32C_VARIANTS_H_
