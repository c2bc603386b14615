#include "core/parallel_copy.h"

#include <string>

#include "core/bulk_copy.h"
#include "core/crc32c.h"

namespace holdfast {

namespace {

// What one thread takes at a time: the caller waits at most that long for a thread that lags.
constexpr uint64_t kJobBytes = uint64_t{1} << 20;

std::string RangeName(size_t index, uint64_t offset, uint64_t bytes) {
  return "range " + std::to_string(index) + " (bytes " + std::to_string(offset) + " to " +
         std::to_string(offset + bytes) + ")";
}

// The part of a buffer that three numbers name.
Status PlanRange(const std::vector<MemoryRange>& buffers, size_t index, const uint64_t* numbers,
                 MemoryRange* result) {
  const uint64_t buffer = numbers[0], offset = numbers[1], bytes = numbers[2];
  if (buffer >= buffers.size()) {
    return Status::InvalidArgument("range " + std::to_string(index) + " names buffer " +
                                   std::to_string(buffer) + " of " +
                                   std::to_string(buffers.size()));
  }
  const MemoryRange& memory = buffers[buffer];
  if (offset > memory.bytes || bytes > memory.bytes - offset) {
    return Status::InvalidArgument(RangeName(index, offset, bytes) + " reaches beyond buffer " +
                                   std::to_string(buffer) + " of " + std::to_string(memory.bytes) +
                                   " bytes");
  }
  *result = {bytes == 0 ? nullptr : memory.data + offset, bytes};
  return Status::Ok();
}

}  // namespace

Status PlanCopy(const std::vector<MemoryRange>& buffers, const std::vector<uint64_t>& numbers,
                uint8_t* target, uint64_t bytes, std::vector<CopyRange>* result) {
  if (numbers.size() % 4 != 0) {
    return Status::InvalidArgument("ranges must hold four numbers each");
  }
  result->clear();
  result->reserve(numbers.size() / 4);
  for (size_t at = 0; at < numbers.size(); at += 4) {
    MemoryRange from;
    HOLDFAST_RETURN_IF_ERROR(PlanRange(buffers, at / 4, &numbers[at], &from));
    const uint64_t offset = numbers[at + 3];
    if (offset > bytes || from.bytes > bytes - offset) {
      return Status::InvalidArgument(RangeName(at / 4, offset, from.bytes) +
                                     " reaches beyond the arena's " + std::to_string(bytes) +
                                     " bytes");
    }
    result->push_back({from.data, target + offset, from.bytes});
  }
  return Status::Ok();
}

Status PlanRanges(const std::vector<MemoryRange>& buffers, const std::vector<uint64_t>& numbers,
                  std::vector<MemoryRange>* result) {
  if (numbers.size() % 3 != 0) {
    return Status::InvalidArgument("ranges must hold three numbers each");
  }
  result->clear();
  result->reserve(numbers.size() / 3);
  for (size_t at = 0; at < numbers.size(); at += 3) {
    MemoryRange range;
    HOLDFAST_RETURN_IF_ERROR(PlanRange(buffers, at / 3, &numbers[at], &range));
    result->push_back(range);
  }
  return Status::Ok();
}

void CopyRanges(const std::vector<CopyRange>& ranges, unsigned threads) {
  std::vector<uint64_t> lengths;
  lengths.reserve(ranges.size());
  for (const CopyRange& range : ranges) lengths.push_back(range.bytes);
  ParallelJobs(lengths, kJobBytes).Run(threads, [&](const ParallelJobs::Part& part, size_t) {
    const CopyRange& range = ranges[part.range];
    BulkCopy(range.to + part.offset, range.from + part.offset, part.bytes);
  });
}

std::vector<uint32_t> Crc32cOfRanges(const std::vector<MemoryRange>& ranges, unsigned threads) {
  std::vector<uint64_t> lengths;
  lengths.reserve(ranges.size());
  for (const MemoryRange& range : ranges) lengths.push_back(range.bytes);
  const ParallelJobs jobs(lengths, kJobBytes);
  std::vector<uint32_t> partial(jobs.parts.size());
  jobs.Run(threads, [&](const ParallelJobs::Part& part, size_t index) {
    partial[index] = Crc32c(ranges[part.range].data + part.offset, part.bytes);
  });
  std::vector<uint32_t> result(ranges.size(), 0);
  for (size_t index = 0; index < jobs.parts.size(); ++index) {
    const ParallelJobs::Part& part = jobs.parts[index];
    uint32_t& crc = result[part.range];
    crc = part.offset == 0 ? partial[index] : Crc32cCombine(crc, partial[index], part.bytes);
  }
  return result;
}

}  // namespace holdfast
