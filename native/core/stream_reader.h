// Reads ranges of one file into memory, with checksums in the same pass.
//
// Bytes arrive in aligned staging memory, are copied to their destination, and are checksummed
// there: the checksum is of what the caller gets.
#ifndef HOLDFAST_CORE_STREAM_READER_H_
#define HOLDFAST_CORE_STREAM_READER_H_

#include <memory>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/pin_table.h"
#include "core/transfer.h"

namespace holdfast {

struct ReadOptions {
  uint64_t chunk_bytes = 0;
  uint64_t offset = 0;                 // in the file, bytes
  std::vector<uint64_t> spans;         // lengths of consecutive spans from `offset` on
  std::vector<uint8_t*> destinations;  // one per span; null: only checksum
  std::unique_ptr<LeaseSet> leases;    // what keeps the destinations; may be null
  size_t operation_bytes = 0;          // 0: the default
  unsigned queue_depth = 0;            // 0: the default
  EngineKind engine = EngineKind::kAuto;
  std::shared_ptr<AbortFlag> abort;
};

// Thread-safe: several reads may run at once.
class StreamReader {
 public:
  // `operations` must outlive the reader.
  static Status Open(const std::string& path, DirectMode direct, Operations& operations,
                     std::unique_ptr<StreamReader>* result);

  // Waits for all of it. A file that ends too early is kTruncated, and the destinations hold an
  // unspecified part of the data after any error.
  Status Read(ReadOptions options, TransferResult* result);
  // Maps `bytes` > 0 bytes from `offset` on, with their CRC32C from the mapped pages themselves.
  Status Map(uint64_t offset, uint64_t bytes, const std::shared_ptr<AbortFlag>& abort,
             FileMapping* mapping, uint32_t* crc32c);
  // Makes running reads fail with an abort soon, and later ones at once.
  void Abort() { abort_->store(true, std::memory_order_release); }

  uint64_t bytes() const { return file_->bytes_at_open(); }
  bool direct() const { return file_->direct(); }
  std::string direct_reason() const { return file_->direct_reason(); }
  // Bytes read so far by the running reads, or by the last ones.
  uint64_t read_bytes() const { return read_bytes_.load(std::memory_order_relaxed); }

 private:
  StreamReader(Operations* operations, std::unique_ptr<File> file)
      : operations_(operations), file_(std::move(file)) {}

  Operations* const operations_;
  const std::unique_ptr<File> file_;
  const std::shared_ptr<AbortFlag> abort_ = std::make_shared<AbortFlag>(false);
  std::atomic<uint64_t> read_bytes_{0};
  std::atomic<unsigned> running_{0};
};

}  // namespace holdfast

#endif  // HOLDFAST_CORE_STREAM_READER_H_
