// CRC32C of every span, every chunk and the whole of a byte range, from parts that are checksummed
// in any order on several threads, each byte once.
#ifndef HOLDFAST_CORE_DIGEST_H_
#define HOLDFAST_CORE_DIGEST_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "core/status.h"

namespace holdfast {

// Where spans and chunks end. Immutable once made. Offsets count from the beginning of the range.
class Layout {
 public:
  // `spans` are lengths in bytes. Refuses a zero chunk size, a total beyond 2^53 - 1, and more than
  // kChunksMax chunks.
  static Status Make(const std::vector<uint64_t>& spans, uint64_t chunk_bytes, Layout* result);

  uint64_t bytes() const { return span_ends_.empty() ? 0 : span_ends_.back(); }
  uint64_t chunk_bytes() const { return chunk_bytes_; }
  size_t chunk_count() const;
  size_t span_count() const { return span_ends_.size(); }
  uint64_t span_end(size_t index) const { return span_ends_[index]; }
  uint64_t span_begin(size_t index) const { return index == 0 ? 0 : span_ends_[index - 1]; }
  // The span that holds the byte at `offset` (< bytes()).
  size_t SpanAt(uint64_t offset) const;

  static constexpr uint64_t kBytesMax = (uint64_t{1} << 53) - 1;
  static constexpr uint64_t kChunksMax = uint64_t{1} << 24;

 private:
  std::vector<uint64_t> span_ends_;
  uint64_t chunk_bytes_ = 0;
};

// CRC of `bytes` bytes that belong to one span or chunk.
struct DigestPart {
  size_t index;
  uint64_t bytes;
  uint32_t crc;
};

// The checksums of one contiguous part of the range. Used by one thread at a time.
class PartDigest {
 public:
  // `layout` must outlive this object.
  void Begin(const Layout* layout, uint64_t offset);
  // The next bytes in order; they need not lie next to the previous ones in memory.
  void Update(const uint8_t* data, size_t bytes);
  // No Update after this.
  void End();

 private:
  friend class Digest;
  void CloseSegment();
  void OpenSegment();

  const Layout* layout_ = nullptr;
  uint64_t begin_ = 0;
  uint64_t position_ = 0;
  // The running segment: it lies in one span and one chunk.
  size_t span_ = 0;
  uint64_t segment_begin_ = 0;
  uint64_t segment_end_ = 0;
  uint32_t segment_crc_ = 0;
  std::vector<DigestPart> spans_;
  std::vector<DigestPart> chunks_;
};

// Joins parts into the checksums of the range. Not thread-safe: the owner locks.
class Digest {
 public:
  // `layout` must outlive this object.
  explicit Digest(const Layout* layout);
  // Parts may come in any order; those that are ahead wait. Each byte must be in exactly one.
  void Add(PartDigest&& part);

  // Valid once every byte has been added.
  bool complete() const { return position_ == layout_->bytes(); }
  uint32_t Crc() const;
  const std::vector<uint32_t>& chunks() const { return chunks_; }
  const std::vector<uint32_t>& spans() const { return spans_; }

 private:
  const Layout* layout_;
  uint64_t position_ = 0;
  std::map<uint64_t, PartDigest> ahead_;
  std::vector<uint32_t> chunks_;
  std::vector<uint32_t> spans_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_DIGEST_H_
