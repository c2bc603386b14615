#include "core/digest.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/crc32c.h"

namespace holdfast {

Status Layout::Make(const std::vector<uint64_t>& spans, uint64_t chunk_bytes, Layout* result) {
  if (chunk_bytes == 0) return Status::InvalidArgument("chunkBytes must be positive");
  Layout layout;
  layout.chunk_bytes_ = chunk_bytes;
  layout.span_ends_.reserve(spans.size());
  uint64_t total = 0;
  for (const uint64_t bytes : spans) {
    if (bytes > kBytesMax - total) {
      return Status::InvalidArgument("the spans add up to more than 2^53 - 1 bytes");
    }
    total += bytes;
    layout.span_ends_.push_back(total);
  }
  if (total / chunk_bytes >= kChunksMax) {
    return Status::InvalidArgument("chunkBytes " + std::to_string(chunk_bytes) + " would make " +
                                   std::to_string(total / chunk_bytes) + " chunks; at most " +
                                   std::to_string(kChunksMax) + " are allowed");
  }
  *result = std::move(layout);
  return Status::Ok();
}

size_t Layout::chunk_count() const {
  return static_cast<size_t>((bytes() + chunk_bytes_ - 1) / chunk_bytes_);
}

size_t Layout::SpanAt(uint64_t offset) const {
  // The first span that ends behind the byte: empty spans before it are passed over.
  const auto found = std::upper_bound(span_ends_.begin(), span_ends_.end(), offset);
  return static_cast<size_t>(found - span_ends_.begin());
}

void PartDigest::Begin(const Layout* layout, uint64_t offset) {
  layout_ = layout;
  begin_ = position_ = offset;
  span_ = offset < layout->bytes() ? layout->SpanAt(offset) : layout->span_count();
  spans_.clear();
  chunks_.clear();
  OpenSegment();
}

void PartDigest::OpenSegment() {
  segment_begin_ = position_;
  segment_crc_ = 0;
  while (span_ < layout_->span_count() && layout_->span_end(span_) <= position_) ++span_;
  const uint64_t chunk_end = (position_ / layout_->chunk_bytes() + 1) * layout_->chunk_bytes();
  segment_end_ =
      span_ < layout_->span_count() ? std::min(layout_->span_end(span_), chunk_end) : position_;
}

void PartDigest::CloseSegment() {
  const uint64_t bytes = position_ - segment_begin_;
  if (bytes == 0) return;
  const auto append = [&](std::vector<DigestPart>& parts, size_t index) {
    if (parts.empty() || parts.back().index != index) {
      parts.push_back({index, bytes, segment_crc_});
    } else {
      parts.back().crc = Crc32cCombine(parts.back().crc, segment_crc_, bytes);
      parts.back().bytes += bytes;
    }
  };
  append(spans_, span_);
  append(chunks_, static_cast<size_t>(segment_begin_ / layout_->chunk_bytes()));
}

void PartDigest::Update(const uint8_t* data, size_t bytes) {
  while (bytes > 0 && segment_end_ > position_) {
    const size_t step = static_cast<size_t>(std::min<uint64_t>(bytes, segment_end_ - position_));
    segment_crc_ = Crc32c(data, step, segment_crc_);
    data += step;
    bytes -= step;
    position_ += step;
    if (position_ == segment_end_) {
      CloseSegment();
      OpenSegment();
    }
  }
}

void PartDigest::End() {
  CloseSegment();
  segment_begin_ = position_;
}

Digest::Digest(const Layout* layout)
    : layout_(layout), chunks_(layout->chunk_count()), spans_(layout->span_count()) {}

void Digest::Add(PartDigest&& part) {
  ahead_.emplace(part.begin_, std::move(part));
  for (auto next = ahead_.begin(); next != ahead_.end() && next->first == position_;
       next = ahead_.erase(next)) {
    for (const DigestPart& span : next->second.spans_) {
      spans_[span.index] = Crc32cCombine(spans_[span.index], span.crc, span.bytes);
    }
    for (const DigestPart& chunk : next->second.chunks_) {
      chunks_[chunk.index] = Crc32cCombine(chunks_[chunk.index], chunk.crc, chunk.bytes);
    }
    position_ = next->second.position_;
  }
}

uint32_t Digest::Crc() const {
  uint32_t crc = 0;
  for (size_t index = 0; index < chunks_.size(); ++index) {
    const uint64_t begin = index * layout_->chunk_bytes();
    crc = Crc32cCombine(crc, chunks_[index],
                        std::min(layout_->chunk_bytes(), layout_->bytes() - begin));
  }
  return crc;
}

}  // namespace holdfast
