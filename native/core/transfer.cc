#include "core/transfer.h"

#include <string>

#include "core/file.h"

namespace holdfast {

Status TransferShape::Make(size_t operation_bytes, unsigned queue_depth, uint64_t transfer_bytes,
                           uint32_t alignment, unsigned extra_slots, TransferShape* result) {
  if (operation_bytes % kBlockBytes != 0 || operation_bytes > kOperationBytesMax) {
    return Status::InvalidArgument("operationBytes must be a multiple of " +
                                   std::to_string(kBlockBytes) + " up to " +
                                   std::to_string(kOperationBytesMax) + ", or 0 for the default");
  }
  if (queue_depth > 256) return Status::InvalidArgument("queueDepth must be 0 to 256");
  const auto round_up = [&](uint64_t value) {
    return (value + alignment - 1) / alignment * alignment;
  };
  TransferShape shape;
  if (operation_bytes != 0) shape.operation_bytes = operation_bytes;
  if (queue_depth != 0) shape.queue_depth = queue_depth;
  const uint64_t whole = round_up(std::max<uint64_t>(transfer_bytes, 1));
  shape.operation_bytes = static_cast<size_t>(std::min(round_up(shape.operation_bytes), whole));
  const uint64_t operations = (whole + shape.operation_bytes - 1) / shape.operation_bytes;
  const uint64_t slots_max = std::max<uint64_t>(kStagingBytesMax / shape.operation_bytes, 1);
  const uint64_t depth_max = slots_max > extra_slots ? slots_max - extra_slots : 1;
  shape.queue_depth =
      static_cast<unsigned>(std::min<uint64_t>({shape.queue_depth, operations, depth_max}));
  *result = shape;
  return Status::Ok();
}

}  // namespace holdfast
