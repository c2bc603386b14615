// CRC32C of a memory larger than any cache, by the library and by Intel ISA-L, in turns on one core. Prints JSON.
//   crc32c-peer MIB PAIRS
#include <isa-l/crc.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdint>
#include <cstdio>

#include "core/crc32c.h"

namespace {

// ISA-L takes lengths as int.
constexpr size_t kPartBytes = size_t{1} << 30;

uint32_t Peer(const uint8_t* data, size_t bytes) {
  uint32_t state = ~0U;
  while (bytes > 0) {
    const size_t part = bytes < kPartBytes ? bytes : kPartBytes;
    state = crc32_iscsi(const_cast<uint8_t*>(data), static_cast<int>(part), state);
    data += part;
    bytes -= part;
  }
  return ~state;
}

uint32_t Ours(const uint8_t* data, size_t bytes) {
  return holdfast::Crc32c(data, bytes);
}

double Seconds(uint32_t (*function)(const uint8_t*, size_t), const uint8_t* data, size_t bytes, uint32_t* crc) {
  const auto begin = std::chrono::steady_clock::now();
  *crc = function(data, bytes);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const size_t bytes = strtoull(arguments[1], nullptr, 10) << 20;
  const int pairs = atoi(arguments[2]);
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(sched_getcpu(), &here);
  (void)sched_setaffinity(0, sizeof here, &here);
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  (void)madvise(memory, bytes, MADV_HUGEPAGE);  // as staging memory is
  uint8_t* const data = static_cast<uint8_t*>(memory);
  uint64_t state = 1;
  for (size_t at = 0; at + 8 <= bytes; at += 8) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    __builtin_memcpy(data + at, &state, 8);
  }
  size_t implementations;
  printf("{\"implementation\": \"%s\", \"rounds\": [", holdfast::Crc32cImplementations(&implementations)[0].name);
  // Ours, the peer's, ours again; whose turn comes first changes. The first round finds things cold.
  uint32_t (*const functions[])(const uint8_t*, size_t) = {Ours, Peer, Ours};
  uint32_t crcs[3];
  bool right = true;
  for (int round = -1; round < pairs; ++round) {
    double seconds[3];
    for (int turn = 0; turn < 3; ++turn) {
      const int index = (turn + round + 1) % 3;
      seconds[index] = Seconds(functions[index], data, bytes, &crcs[index]);
    }
    right = right && crcs[0] == crcs[1] && crcs[0] == crcs[2];
    if (round >= 0) printf("%s[%.9f, %.9f, %.9f]", round == 0 ? "" : ", ", seconds[0], seconds[1], seconds[2]);
  }
  printf("], \"correct\": %s}\n", right ? "true" : "false");
  return 0;
}
