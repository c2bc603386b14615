#include "core/stream_writer.h"

#include <algorithm>
#include <cstring>
#include <future>
#include <utility>

namespace holdfast {

namespace {

double SecondsBetween(std::chrono::steady_clock::time_point from,
                      std::chrono::steady_clock::time_point to) {
  return std::max(0.0, std::chrono::duration<double>(to - from).count());
}

Status SourceGone() {
  return Status::SourceChanged("the thread that owns the memory ended while it was being saved");
}

}  // namespace

StreamWriter::StreamWriter(WriterOptions options, Layout layout)
    : options_(std::move(options)),
      layout_(std::move(layout)),
      stop_(options_.abort),
      digest_(&layout_) {}

StreamWriter::~StreamWriter() {
  Abandon();
}

Status StreamWriter::Open(const std::string& path, WriterOptions options,
                          std::unique_ptr<StreamWriter>* result) {
  Layout layout;
  HOLDFAST_RETURN_IF_ERROR(Layout::Make(options.spans, options.chunk_bytes, &layout));
  options.spans = {};
  std::unique_ptr<StreamWriter> writer(new StreamWriter(std::move(options), std::move(layout)));
  HOLDFAST_RETURN_IF_ERROR(writer->Start(path));
  *result = std::move(writer);
  return Status::Ok();
}

Status StreamWriter::Start(const std::string& path) {
  if (stop_.aborted()) return Status::Aborted();
  const uint64_t bytes = layout_.bytes();
  // Arguments are checked before anything is created; the alignment may then only grow.
  HOLDFAST_RETURN_IF_ERROR(TransferShape::Make(options_.operation_bytes, options_.queue_depth,
                                               bytes, kBlockBytes, 1, &shape_));
  HOLDFAST_RETURN_IF_ERROR(File::Create(*options_.operations, path, options_.direct,
                                        options_.permissions, bytes, &file_));
  Status status = TransferShape::Make(options_.operation_bytes, options_.queue_depth, bytes,
                                      file_->alignment(), 1, &shape_);
  // One slot per thread, and one for the unfinished operation between two calls of Write.
  const size_t slot_count = bytes == 0 ? 0 : shape_.queue_depth + 1;
  if (status.ok() && slot_count != 0) {
    status = memory_.Acquire(slot_count * shape_.operation_bytes);
  }
  if (status.ok()) {
    slots_.resize(slot_count);
    for (size_t index = 0; index < slot_count; ++index) {
      slots_[index].memory = memory_.data() + index * shape_.operation_bytes;
      free_.push_back(&slots_[index]);
    }
    if (slot_count != 0) {
      const bool here = options_.on_caller && shape_.queue_depth == 1;
      status = StartEngine(*options_.operations, options_.engine, this,
                           here ? 0 : shape_.queue_depth, &engine_);
    }
  }
  if (!status.ok()) (void)options_.operations->Unlink(path.c_str());
  return status;
}

void StreamWriter::Wake() {
  if (engine_ != nullptr) engine_->Wake();
}

void StreamWriter::Join() {
  if (engine_ != nullptr) engine_->Join();
}

void StreamWriter::DropStaging() {
  if (memory_lost_.load()) memory_.Leak();
  memory_.Release();
}

void StreamWriter::Write(Source source, Done done) {
  auto call = std::make_shared<Call>();
  for (const Source::Piece& piece : source.pieces) call->unclaimed += piece.bytes;
  call->source = std::move(source);
  call->done = std::move(done);
  Calls finished;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stop_.aborted()) FailLocked(Status::Aborted(), &finished);
    if (call->unclaimed > layout_.bytes() - accepted_) {
      FailLocked(Status::InvalidArgument("more bytes were written to '" + file_->path() +
                                         "' than its spans hold (" +
                                         std::to_string(layout_.bytes()) + ")"),
                 &finished);
    }
    if (!failure_.ok() || call->unclaimed == 0) {
      FinishCallLocked(call, &finished);
    } else {
      accepted_ += call->unclaimed;
      queue_.push_back(call);
    }
  }
  Wake();
  Notify(finished);
}

Status StreamWriter::Write(Source source) {
  std::promise<Status> promise;
  Write(std::move(source), [&promise](const Status& status) { promise.set_value(status); });
  return promise.get_future().get();
}

Job::Claim StreamWriter::TakeOperation(Operation* operation) {
  Calls finished;
  Claim claim = Claim::kOperation;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (failure_.ok() && !queue_.empty() && stop_.aborted()) {
      FailLocked(Status::Aborted(), &finished);
    }
    if (!failure_.ok()) {
      claim = Claim::kDone;
    } else if (queue_.empty()) {
      claim = closing_ ? Claim::kDone : Claim::kWait;
    } else if (partial_ != nullptr && partial_busy_) {
      claim = Claim::kWait;  // another thread fills the operation that these bytes continue
    } else {
      Slot* slot = partial_;
      if (slot == nullptr) {
        slot = free_.back();  // there is one more slot than there are threads
        free_.pop_back();
        slot->offset = position_;
        slot->filled = 0;
        slot->target = static_cast<size_t>(
            std::min<uint64_t>(shape_.operation_bytes, layout_.bytes() - position_));
        slot->digest.Begin(&layout_, position_);
      }
      ClaimLocked(slot, operation);
    }
  }
  Notify(finished);
  return claim;
}

// Gives `slot` the next bytes of the first call and moves the call on behind them.
void StreamWriter::ClaimLocked(Slot* slot, Operation* operation) {
  if (position_ == 0) first_claim_ = std::chrono::steady_clock::now();
  const std::shared_ptr<Call> call = queue_.front();
  const size_t take =
      static_cast<size_t>(std::min<uint64_t>(slot->target - slot->filled, call->unclaimed));
  slot->call = call;
  slot->piece = call->piece;
  slot->piece_offset = call->piece_offset;
  slot->take = take;
  for (uint64_t left = take; left > 0;) {
    const uint64_t in_piece = call->source.pieces[call->piece].bytes - call->piece_offset;
    const uint64_t step = std::min(left, in_piece);
    call->piece_offset += step;
    left -= step;
    if (step == in_piece) {
      ++call->piece;
      call->piece_offset = 0;
    }
  }
  call->unclaimed -= take;
  ++call->staging;
  if (call->unclaimed == 0) queue_.pop_front();
  position_ += take;
  ++active_;
  const bool full = slot->filled + take == slot->target;
  partial_ = full ? nullptr : slot;
  partial_busy_ = !full;
  operation->kind = Operation::Kind::kWrite;
  operation->file = file_.get();
  operation->memory = slot->memory;
  operation->offset = slot->offset;
  operation->bytes = 0;
  operation->slot = slot;
}

// Copies what the slot was given, and checksums the copy while it is in the cache.
Status StreamWriter::CopyLocally(Slot* slot) {
  const std::vector<Source::Piece>& pieces = slot->call->source.pieces;
  LeaseSet* leases = slot->call->source.leases.get();
  while (slot->take > 0) {
    if (stop_.aborted()) return Status::Aborted();
    if (leases != nullptr && !leases->Intact()) {
      return SourceGone();
    }
    uint8_t* const begin = slot->memory + slot->filled;
    size_t copied = 0;
    const size_t step = std::min(slot->take, kStepBytes);
    while (copied < step) {
      const Source::Piece& piece = pieces[slot->piece];
      const size_t bytes =
          static_cast<size_t>(std::min<uint64_t>(step - copied, piece.bytes - slot->piece_offset));
      if (bytes != 0) memcpy(begin + copied, piece.data + slot->piece_offset, bytes);
      copied += bytes;
      slot->piece_offset += bytes;
      if (slot->piece_offset == piece.bytes) {
        ++slot->piece;
        slot->piece_offset = 0;
      }
    }
    slot->digest.Update(begin, step);
    slot->filled += step;
    slot->take -= step;
  }
  return Status::Ok();
}

Status StreamWriter::Before(Operation* operation) {
  Slot* slot = static_cast<Slot*>(operation->slot);
  HOLDFAST_RETURN_IF_ERROR(CopyLocally(slot));
  const bool full = slot->filled == slot->target;
  if (full) {
    slot->digest.End();
    operation->bytes = slot->target;
    if (file_->direct()) {
      const size_t alignment = file_->alignment();
      operation->bytes = (slot->target + alignment - 1) / alignment * alignment;
      memset(slot->memory + slot->target, 0, operation->bytes - slot->target);
    }
  }
  Calls finished;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::shared_ptr<Call> call = std::move(slot->call);
    slot->call = nullptr;
    --call->staging;
    FinishCallLocked(call, &finished);
    if (!full) {
      partial_busy_ = false;
      if (--active_ == 0) drained_.notify_all();
    }
  }
  Notify(finished);
  if (!full) Wake();
  return Status::Ok();
}

Status StreamWriter::After(Operation* operation) {
  Slot* slot = static_cast<Slot*>(operation->slot);
  written_bytes_.fetch_add(slot->target, std::memory_order_relaxed);
  const std::lock_guard<std::mutex> lock(mutex_);
  digest_.Add(std::move(slot->digest));
  last_write_ = std::chrono::steady_clock::now();
  free_.push_back(slot);
  if (--active_ == 0) drained_.notify_all();
  return Status::Ok();
}

void StreamWriter::Failed(Operation* operation, const Status& status) {
  Slot* slot = static_cast<Slot*>(operation->slot);
  Calls finished;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::shared_ptr<Call> call = std::move(slot->call);
    slot->call = nullptr;
    FailLocked(status, &finished);
    if (call != nullptr) {
      --call->staging;
      FinishCallLocked(call, &finished);
    }
    --active_;
    drained_.notify_all();
  }
  Wake();  // the others should see it and end
  Notify(finished);
}

// Keeps the first error and ends every call that no thread copies from.
void StreamWriter::FailLocked(const Status& status, Calls* finished) {
  if (failure_.ok()) failure_ = status;
  file_->Poison(failure_);
  for (const std::shared_ptr<Call>& call : queue_) FinishCallLocked(call, finished);
  queue_.clear();
  drained_.notify_all();
}

// A call ends when nobody copies from it and nothing of it is left to copy, or never will be.
void StreamWriter::FinishCallLocked(const std::shared_ptr<Call>& call, Calls* finished) {
  if (call->finished || call->staging != 0) return;
  if (call->unclaimed != 0 && failure_.ok()) return;
  call->finished = true;
  finished->Add(call);
}

void StreamWriter::Notify(const Calls& finished) {
  if (finished.first == nullptr) return;
  Status status;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    status = failure_;
  }
  for (std::shared_ptr<Call> call = finished.first; call != nullptr;) {
    call->source = Source{};  // lets the leases go before anyone is told
    if (call->done) call->done(status);
    call->done = nullptr;
    // Unlinked one by one: a long chain that ends all at once would end by recursion.
    std::shared_ptr<Call> next = std::move(call->next_finished);
    call = std::move(next);
  }
}

Status StreamWriter::WaitUntilWritten() {
  std::unique_lock<std::mutex> lock(mutex_);
  drained_.wait(lock, [&] { return active_ == 0 && (queue_.empty() || !failure_.ok()); });
  Calls finished;
  if (stop_.aborted()) FailLocked(Status::Aborted(), &finished);
  if (failure_.ok() && position_ != layout_.bytes()) {
    FailLocked(
        Status::InvalidArgument("only " + std::to_string(position_) + " of the " +
                                std::to_string(layout_.bytes()) +
                                " bytes of the spans were written to '" + file_->path() + "'"),
        &finished);
  }
  closing_ = true;
  return failure_;
}

Status StreamWriter::Seal(TransferResult* result) {
  HOLDFAST_RETURN_IF_ERROR(file_->Truncate(layout_.bytes()));
  if (stop_.aborted()) return Status::Aborted();
  const auto begin = std::chrono::steady_clock::now();
  HOLDFAST_RETURN_IF_ERROR(file_->Sync());
  result->sync_seconds = SecondsBetween(begin, std::chrono::steady_clock::now());
  return Status::Ok();
}

Status StreamWriter::Finish(TransferResult* result) {
  if (closed_) return Status::InvalidArgument("the writer is closed");
  closed_ = true;
  Status status = WaitUntilWritten();
  Wake();
  Join();
  if (status.ok()) status = Seal(result);
  const Status closed = file_->Close();
  if (status.ok()) status = closed;
  DropStaging();
  if (!status.ok()) return status;
  result->bytes = layout_.bytes();
  result->crc32c = digest_.Crc();
  result->chunks = digest_.chunks();
  result->spans = digest_.spans();
  result->direct = file_->direct();
  result->direct_reason = file_->direct_reason();
  result->engine = engine_ == nullptr ? EngineKind::kThreads : engine_->kind();
  result->transfer_seconds = SecondsBetween(first_claim_, last_write_);
  return Status::Ok();
}

void StreamWriter::Abort() {
  stop_.Abort();
  Calls finished;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    FailLocked(Status::Aborted(), &finished);
  }
  Wake();
  Notify(finished);
}

void StreamWriter::DropRevokedSources() {
  Calls finished;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool intact = std::all_of(queue_.begin(), queue_.end(), [](const auto& call) {
      return call->source.leases == nullptr || call->source.leases->Intact();
    });
    if (!intact) FailLocked(SourceGone(), &finished);
  }
  Wake();
  Notify(finished);
}

void StreamWriter::Abandon() {
  if (closed_ || file_ == nullptr) return;
  closed_ = true;
  Abort();
  Join();
  (void)file_->Close();
  DropStaging();
}

}  // namespace holdfast
