#include "core/bulk_copy.h"

#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace holdfast {

#if defined(__SSE2__)  // every x86-64 processor

namespace {

constexpr size_t kLineBytes = 64;
// Less is not worth the fence at the end.
constexpr size_t kAroundCacheBytesMin = 2048;
// How far ahead of the copy to ask for the source. Measured: 512 to 4096 are the same.
constexpr size_t kAheadBytes = 2048;

}  // namespace

void BulkCopy(uint8_t* to, const uint8_t* from, size_t bytes) {
  if (bytes >= kAroundCacheBytesMin) {
    // Whole lines only: a line that is written in two halves goes to memory twice.
    const size_t head = (kLineBytes - reinterpret_cast<uintptr_t>(to) % kLineBytes) % kLineBytes;
    memcpy(to, from, head);
    to += head;
    from += head;
    bytes -= head;
    for (; bytes >= kLineBytes; bytes -= kLineBytes) {
      // Asking for memory that does not exist has no effect.
      _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(from) + kAheadBytes),
                   _MM_HINT_NTA);
      const auto* source = reinterpret_cast<const __m128i*>(from);
      auto* target = reinterpret_cast<__m128i*>(to);
      const __m128i first = _mm_loadu_si128(source);
      const __m128i second = _mm_loadu_si128(source + 1);
      const __m128i third = _mm_loadu_si128(source + 2);
      const __m128i fourth = _mm_loadu_si128(source + 3);
      _mm_stream_si128(target, first);
      _mm_stream_si128(target + 1, second);
      _mm_stream_si128(target + 2, third);
      _mm_stream_si128(target + 3, fourth);
      to += kLineBytes;
      from += kLineBytes;
    }
    // These stores are not in order with others: without this, a thread that is told of the copy
    // may not see it.
    _mm_sfence();
  }
  if (bytes != 0) memcpy(to, from, bytes);
}

#else

void BulkCopy(uint8_t* to, const uint8_t* from, size_t bytes) {
  if (bytes != 0) memcpy(to, from, bytes);
}

#endif

}  // namespace holdfast
