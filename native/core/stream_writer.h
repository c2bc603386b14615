// Writes one file from memory that is handed over piece by piece, with checksums in the same pass.
//
// Bytes are copied into aligned staging memory, checksummed there, and written from there: what is
// on the disk always matches its checksum, whatever happens to the source in the meantime. The
// first error ends everything: it is what every later call gives, and nothing is written or synced
// after it.
#ifndef HOLDFAST_CORE_STREAM_WRITER_H_
#define HOLDFAST_CORE_STREAM_WRITER_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/digest.h"
#include "core/file.h"
#include "core/pin_table.h"
#include "core/staging_pool.h"
#include "core/start_engine.h"
#include "core/transfer.h"

namespace holdfast {

struct WriterOptions {
  DirectMode direct = DirectMode::kOptional;
  unsigned permissions = 0644;  // before umask
  uint64_t chunk_bytes = 0;
  std::vector<uint64_t> spans;  // lengths in bytes; their sum is the length of the file
  size_t operation_bytes = 0;   // 0: the default
  unsigned queue_depth = 0;     // 0: the default
  EngineKind engine = EngineKind::kAuto;
  // Where a single operation does it, the thread that opens the writer does that one itself, inside
  // Write: a thread of its own would cost more.
  bool on_caller = false;
  std::shared_ptr<AbortFlag> abort;
  Operations* operations = &Operations::System();  // must outlive the writer
};

// Memory to be written, in order. It must stay readable until the write is done; `leases`, if any,
// are let go at that moment.
struct Source {
  struct Piece {
    const uint8_t* data;
    uint64_t bytes;
  };
  std::vector<Piece> pieces;
  std::unique_ptr<LeaseSet> leases;
};

// Write may be called again before the previous one is done; the bytes follow in the order of
// calls. Finish and Abandon must come last, one of them, once.
class StreamWriter : private Job {
 public:
  // Called once, on some thread, when the bytes are staged (their memory is free again) or when
  // they never will be. It must not block and must not call the writer's Finish or Abandon.
  using Done = std::function<void(const Status&)>;

  // Creates the file (it must not exist), preallocates it and starts the threads.
  static Status Open(const std::string& path, WriterOptions options,
                     std::unique_ptr<StreamWriter>* result);
  ~StreamWriter() override;
  StreamWriter(const StreamWriter&) = delete;
  StreamWriter& operator=(const StreamWriter&) = delete;

  // Never blocks for I/O.
  void Write(Source source, Done done);
  // Waits for the staging.
  Status Write(Source source);
  // Waits for everything, truncates to the exact length, syncs, closes. Fewer bytes than the spans
  // promise are an error.
  Status Finish(TransferResult* result);
  // Stops, closes without a sync, and leaves the file.
  void Abandon();
  // Makes the writer fail with an abort soon; calls that no thread works on end at once. From any
  // thread.
  void Abort();
  // Fails the writer if memory that it is about to read is going away. From any thread.
  void DropRevokedSources();

  // Bytes handed to the operating system so far.
  uint64_t written_bytes() const { return written_bytes_.load(std::memory_order_relaxed); }
  bool direct() const { return file_->direct(); }

 private:
  struct Call {
    Source source;
    Done done;
    size_t piece = 0;           // next to be claimed
    uint64_t piece_offset = 0;  // inside it
    uint64_t unclaimed = 0;
    unsigned staging = 0;  // threads that copy from it
    bool finished = false;
    std::shared_ptr<Call> next_finished;
  };
  // Calls that have ended, in that order, before anyone is told. Linked, as it must not need
  // memory.
  struct Calls {
    std::shared_ptr<Call> first;
    Call* last = nullptr;

    void Add(const std::shared_ptr<Call>& call) {
      (last == nullptr ? first : last->next_finished) = call;
      last = call.get();
    }
  };
  // Staging memory for one operation of the file.
  struct Slot {
    uint8_t* memory = nullptr;
    uint64_t offset = 0;
    size_t filled = 0;
    size_t target = 0;  // bytes of the file in this operation
    PartDigest digest;
    // What the running thread copies into it.
    std::shared_ptr<Call> call;
    size_t piece = 0;
    uint64_t piece_offset = 0;
    size_t take = 0;
  };

  StreamWriter(WriterOptions options, Layout layout);
  Status Start(const std::string& path);

  Memory Staging() override { return {memory_.data(), memory_.size()}; }
  void KeepStaging() override { memory_lost_.store(true); }
  Claim TakeOperation(Operation* operation) override;
  Status Before(Operation* operation) override;
  Status After(Operation* operation) override;
  void Failed(Operation* operation, const Status& status) override;

  void ClaimLocked(Slot* slot, Operation* operation);
  Status CopyLocally(Slot* slot);
  void FailLocked(const Status& status, Calls* finished);
  void FinishCallLocked(const std::shared_ptr<Call>& call, Calls* finished);
  void Notify(const Calls& finished);
  void Wake();
  void Join();
  void DropStaging();
  Status WaitUntilWritten();
  Status Seal(TransferResult* result);

  WriterOptions options_;
  const Layout layout_;
  TransferShape shape_;
  StopFlags stop_;
  std::unique_ptr<File> file_;
  StagingMemory memory_;
  std::atomic<bool> memory_lost_{false};
  std::vector<Slot> slots_;
  std::atomic<uint64_t> written_bytes_{0};

  std::mutex mutex_;  // guards everything below
  std::condition_variable drained_;
  Digest digest_;
  Status failure_;
  std::deque<std::shared_ptr<Call>> queue_;  // calls with unclaimed bytes
  std::vector<Slot*> free_;
  Slot* partial_ = nullptr;  // the operation at the end of what was written so far
  bool partial_busy_ = false;
  bool closing_ = false;
  bool closed_ = false;
  unsigned active_ = 0;    // operations between claim and end
  uint64_t accepted_ = 0;  // bytes of all calls
  uint64_t position_ = 0;  // bytes claimed
  std::chrono::steady_clock::time_point first_claim_;
  std::chrono::steady_clock::time_point last_write_;

  std::unique_ptr<Engine> engine_;  // last: its threads use everything above
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_STREAM_WRITER_H_
