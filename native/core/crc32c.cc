#include "core/crc32c.h"

#include "core/crc32c_variants.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

namespace holdfast {

namespace {

constexpr size_t kImplementationsMax = 3;

struct Available {
  Crc32cImplementation list[kImplementationsMax];
  size_t count = 0;

  void Add(const char* name, uint32_t (*function)(const uint8_t*, size_t, uint32_t)) {
    list[count++] = {name, function};
  }

  Available() {
#if defined(__x86_64__)
    // These also ask the operating system whether it saves the wide registers.
    __builtin_cpu_init();
    const bool sse42 = __builtin_cpu_supports("sse4.2");
    if (sse42 && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("vpclmulqdq") &&
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw")) {
      Add("vpclmulqdq", Crc32cAvx512);
    }
    if (sse42) Add("sse4.2", Crc32cSse42);
#elif defined(__aarch64__)
    if ((getauxval(AT_HWCAP) & HWCAP_CRC32) != 0) Add("armv8-crc", Crc32cArm64);
#endif
    Add("portable", Crc32cPortable);
  }
};

const Available& Implementations() {
  static const Available available;
  return available;
}

}  // namespace

const Crc32cImplementation* Crc32cImplementations(size_t* count) {
  const Available& available = Implementations();
  *count = available.count;
  return available.list;
}

uint32_t Crc32c(const void* data, size_t bytes, uint32_t seed) {
  static const auto function = Implementations().list[0].function;
  return function(static_cast<const uint8_t*>(data), bytes, seed);
}

}  // namespace holdfast
