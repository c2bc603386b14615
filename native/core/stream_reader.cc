#include "core/stream_reader.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "core/bulk_copy.h"
#include "core/crc32c.h"
#include "core/digest.h"
#include "core/staging_pool.h"
#include "core/start_engine.h"

namespace holdfast {

namespace {

class ReadJob : public Job {
 public:
  ReadJob(Operations* operations, File* file, ReadOptions* options, const Layout* layout,
          const AbortFlag* reader_abort, std::atomic<uint64_t>* read_bytes)
      : operations_(operations),
        file_(file),
        options_(options),
        layout_(layout),
        reader_abort_(reader_abort),
        read_bytes_(read_bytes),
        end_(options->offset + layout->bytes()),
        digest_(layout) {
    // A range may begin inside a block; the operations then begin at the block.
    next_ = options->offset / file->alignment() * file->alignment();
  }

  Status Run(TransferResult* result) {
    TransferShape shape;
    HOLDFAST_RETURN_IF_ERROR(TransferShape::Make(options_->operation_bytes, options_->queue_depth,
                                                 end_ - next_, file_->alignment(), 0, &shape));
    operation_bytes_ = shape.operation_bytes;
    result->engine = EngineKind::kThreads;
    const auto begin = std::chrono::steady_clock::now();
    if (layout_->bytes() != 0) {
      HOLDFAST_RETURN_IF_ERROR(memory_.Acquire(shape.queue_depth * operation_bytes_));
      for (unsigned index = 0; index < shape.queue_depth; ++index) {
        free_.push_back(memory_.data() + index * operation_bytes_);
      }
      std::unique_ptr<Engine> engine;
      HOLDFAST_RETURN_IF_ERROR(
          StartEngine(*operations_, options_->engine, this, shape.queue_depth, &engine));
      engine->Join();
      result->engine = engine->kind();
      if (memory_lost_.load()) memory_.Leak();
      HOLDFAST_RETURN_IF_ERROR(failure_);
    }
    if (Stopped()) return Status::Aborted();
    const auto end = std::chrono::steady_clock::now();
    result->bytes = layout_->bytes();
    result->crc32c = digest_.Crc();
    result->chunks = digest_.chunks();
    result->spans = digest_.spans();
    result->transfer_seconds = std::chrono::duration<double>(end - begin).count();
    return Status::Ok();
  }

 private:
  bool Stopped() const {
    return reader_abort_->load(std::memory_order_acquire) ||
           (options_->abort != nullptr && options_->abort->load(std::memory_order_acquire));
  }

  Memory Staging() override { return {memory_.data(), memory_.size()}; }
  void KeepStaging() override { memory_lost_.store(true); }

  Claim TakeOperation(Operation* operation) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (failure_.ok() && next_ < end_ && Stopped()) failure_ = Status::Aborted();
    if (!failure_.ok() || next_ >= end_) return Claim::kDone;
    const uint64_t alignment = file_->alignment();
    const uint64_t needed = std::min<uint64_t>(end_ - next_, operation_bytes_);
    operation->kind = Operation::Kind::kRead;
    operation->file = file_;
    operation->memory = free_.back();  // as many as there are threads
    free_.pop_back();
    operation->offset = next_;
    operation->needed = static_cast<size_t>(needed);
    operation->bytes = static_cast<size_t>((needed + alignment - 1) / alignment * alignment);
    next_ += needed;
    return Claim::kOperation;
  }

  Status Before(Operation*) override { return Status::Ok(); }

  Status After(Operation* operation) override {
    if (operation->transferred < operation->needed) {
      return Status::Truncated("the file ends at byte " +
                                   std::to_string(operation->offset + operation->transferred) +
                                   ", but bytes up to " + std::to_string(end_) +
                                   " were asked for: '" + file_->path() + "'",
                               file_->path());
    }
    const uint64_t begin = std::max(operation->offset, options_->offset);
    const uint64_t end = operation->offset + operation->needed;
    PartDigest part;
    part.Begin(layout_, begin - options_->offset);
    HOLDFAST_RETURN_IF_ERROR(HandOver(operation->memory + (begin - operation->offset),
                                      begin - options_->offset, end - options_->offset, &part));
    part.End();
    read_bytes_->fetch_add(end - begin, std::memory_order_relaxed);
    const std::lock_guard<std::mutex> lock(mutex_);
    digest_.Add(std::move(part));
    free_.push_back(operation->memory);
    return Status::Ok();
  }

  void Failed(Operation* operation, const Status& status) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (failure_.ok()) failure_ = status;
    free_.push_back(operation->memory);
  }

  // Checksums the bytes [at, end) of the range and copies them to where they belong, around the
  // cache: nobody else writes to staging memory, and reading them where they are copied to would
  // cost as much again.
  Status HandOver(const uint8_t* data, uint64_t at, uint64_t end, PartDigest* part) {
    size_t span = layout_->SpanAt(at);
    uint64_t since_look = kStepBytes;
    while (at < end) {
      if (since_look >= kStepBytes) {
        since_look = 0;
        if (Stopped()) return Status::Aborted();
        if (options_->leases != nullptr && !options_->leases->Intact()) {
          return Status::SourceChanged("the thread that owns the memory ended while it was filled");
        }
      }
      while (layout_->span_end(span) <= at) ++span;
      const size_t step = static_cast<size_t>(
          std::min<uint64_t>({kStepBytes, end - at, layout_->span_end(span) - at}));
      uint8_t* destination = options_->destinations[span];
      part->Update(data, step);
      if (destination != nullptr) {
        BulkCopy(destination + (at - layout_->span_begin(span)), data, step);
      }
      data += step;
      at += step;
      since_look += step;
    }
    return Status::Ok();
  }

  Operations* const operations_;
  File* const file_;
  ReadOptions* const options_;
  const Layout* const layout_;
  const AbortFlag* const reader_abort_;
  std::atomic<uint64_t>* const read_bytes_;
  const uint64_t end_;  // in the file
  size_t operation_bytes_ = 0;
  StagingMemory memory_;
  std::atomic<bool> memory_lost_{false};

  std::mutex mutex_;  // guards everything below
  uint64_t next_ = 0;
  std::vector<uint8_t*> free_;
  Digest digest_;
  Status failure_;
};

}  // namespace

Status StreamReader::Open(const std::string& path, DirectMode direct, Operations& operations,
                          std::unique_ptr<StreamReader>* result) {
  std::unique_ptr<File> file;
  HOLDFAST_RETURN_IF_ERROR(File::OpenForReading(operations, path, direct, &file));
  result->reset(new StreamReader(&operations, std::move(file)));
  return Status::Ok();
}

Status StreamReader::Read(ReadOptions options, TransferResult* result) {
  Layout layout;
  HOLDFAST_RETURN_IF_ERROR(Layout::Make(options.spans, options.chunk_bytes, &layout));
  if (options.destinations.size() != options.spans.size()) {
    return Status::InvalidArgument("there must be one destination per span");
  }
  if (options.offset > Layout::kBytesMax - layout.bytes()) {
    return Status::InvalidArgument("the range ends beyond 2^53 - 1 bytes");
  }
  if (options.offset + layout.bytes() > bytes()) {
    return Status::Truncated("the file ends at byte " + std::to_string(bytes()) +
                                 ", but bytes up to " +
                                 std::to_string(options.offset + layout.bytes()) +
                                 " were asked for: '" + file_->path() + "'",
                             file_->path());
  }
  if (running_.fetch_add(1) == 0) read_bytes_.store(0);
  Status status;
  try {
    ReadJob job(operations_, file_.get(), &options, &layout, abort_.get(), &read_bytes_);
    status = job.Run(result);
  } catch (const std::bad_alloc&) {
    status = Status::OutOfMemory();
  }
  running_.fetch_sub(1);
  result->direct = file_->direct();
  result->direct_reason = file_->direct_reason();
  return status;
}

Status StreamReader::Map(uint64_t offset, uint64_t bytes, const std::shared_ptr<AbortFlag>& abort,
                         FileMapping* mapping, uint32_t* crc32c) {
  FileMapping made;
  HOLDFAST_RETURN_IF_ERROR(file_->Map(offset, bytes, &made));
  uint32_t crc = 0;
  for (uint64_t at = 0; at < bytes; at += kDefaultOperationBytes) {
    if (abort_->load(std::memory_order_acquire) ||
        (abort != nullptr && abort->load(std::memory_order_acquire))) {
      return Status::Aborted();
    }
    const uint64_t step = std::min<uint64_t>(kDefaultOperationBytes, bytes - at);
    HOLDFAST_RETURN_IF_ERROR(made.Populate(at, step));
    crc = Crc32c(made.data() + at, static_cast<size_t>(step), crc);
  }
  *mapping = std::move(made);
  *crc32c = crc;
  return Status::Ok();
}

}  // namespace holdfast
