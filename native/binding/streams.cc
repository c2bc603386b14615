#include <string>
#include <utility>
#include <vector>

#include "binding/addon.h"
#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/handles.h"
#include "core/pin_table.h"
#include "core/stream_reader.h"
#include "core/stream_writer.h"

namespace holdfast {

namespace {

Napi::Value ToUint32Array(Napi::Env env, const std::vector<uint32_t>& values) {
  Napi::Uint32Array array = Napi::Uint32Array::New(env, values.size());
  for (size_t index = 0; index < values.size(); ++index) array.Data()[index] = values[index];
  return array;
}

Napi::Value ToDigest(Napi::Env env, const TransferResult& result) {
  Napi::Object digest = Napi::Object::New(env);
  digest.Set("bytes", static_cast<double>(result.bytes));
  digest.Set("crc32c", result.crc32c);
  digest.Set("chunks", ToUint32Array(env, result.chunks));
  digest.Set("spans", ToUint32Array(env, result.spans));
  digest.Set("direct", result.direct);
  digest.Set("directReason", result.direct_reason);
  digest.Set("io", EngineKindName(result.engine));
  digest.Set("transferSeconds", result.transfer_seconds);
  digest.Set("syncSeconds", result.sync_seconds);
  return digest;
}

Outcome DigestOutcome(Status status, std::shared_ptr<TransferResult> result) {
  return {std::move(status), [result](Napi::Env env) { return ToDigest(env, *result); }};
}

std::shared_ptr<StreamWriter> ToWriter(Napi::Value value) {
  std::shared_ptr<StreamWriter> writer = Handles::Global().FindWriter(ToInteger(value, "writer"));
  if (writer == nullptr) ThrowInvalid(value.Env(), "writer is not a handle of an open writer");
  return writer;
}

std::shared_ptr<StreamWriter> TakeWriter(Napi::Value value) {
  std::shared_ptr<StreamWriter> writer = Handles::Global().TakeWriter(ToInteger(value, "writer"));
  if (writer == nullptr) ThrowInvalid(value.Env(), "writer is not a handle of an open writer");
  return writer;
}

std::shared_ptr<StreamReader> ToReader(Napi::Value value) {
  std::shared_ptr<StreamReader> reader = Handles::Global().FindReader(ToInteger(value, "reader"));
  if (reader == nullptr) ThrowInvalid(value.Env(), "reader is not a handle of an open reader");
  return reader;
}

// The part [offset, offset + bytes) of pinned memory.
uint8_t* PartOfPin(Napi::Env env, LeaseSet* leases, uint64_t handle, uint64_t offset,
                   uint64_t bytes) {
  const Pin* pin = leases->Acquire(handle);
  if (pin == nullptr) {
    ThrowInvalid(env, std::to_string(handle) + " is not a handle of pinned memory");
  }
  if (offset > pin->bytes || bytes > pin->bytes - offset) {
    ThrowInvalid(env, "bytes " + std::to_string(offset) + " to " + std::to_string(offset + bytes) +
                          " reach beyond the pinned memory's " + std::to_string(pin->bytes));
  }
  return pin->data == nullptr ? nullptr : pin->data + offset;
}

WriterOptions ToWriterOptions(Napi::Value value) {
  const Napi::Object object = ToObject(value, "options");
  WriterOptions options;
  options.direct = ToDirectMode(object.Get("direct"), "direct");
  options.permissions = static_cast<unsigned>(ToInteger(object.Get("mode"), "mode", 07777));
  options.chunk_bytes = ToInteger(object.Get("chunkBytes"), "chunkBytes");
  options.spans = ToIntegers(object.Get("spans"), "spans");
  options.operation_bytes = ToInteger(object.Get("operationBytes"), "operationBytes");
  options.queue_depth =
      static_cast<unsigned>(ToInteger(object.Get("queueDepth"), "queueDepth", 256));
  options.engine = ToEngineKind(object.Get("io"), "io");
  options.abort = ToAbortFlag(object.Get("abort"));
  return options;
}

ReadOptions ToReadOptions(Napi::Value value) {
  const Napi::Env env = value.Env();
  const Napi::Object object = ToObject(value, "options");
  ReadOptions options;
  options.chunk_bytes = ToInteger(object.Get("chunkBytes"), "chunkBytes");
  options.offset = ToInteger(object.Get("offset"), "offset");
  options.spans = ToIntegers(object.Get("spans"), "spans");
  options.operation_bytes = ToInteger(object.Get("operationBytes"), "operationBytes");
  options.queue_depth =
      static_cast<unsigned>(ToInteger(object.Get("queueDepth"), "queueDepth", 256));
  options.engine = ToEngineKind(object.Get("io"), "io");
  options.abort = ToAbortFlag(object.Get("abort"));
  const std::vector<double> destinations = ToNumbers(object.Get("destinations"), "destinations");
  if (destinations.size() / 2 != options.spans.size() || destinations.size() % 2 != 0) {
    ThrowInvalid(env, "destinations must hold two numbers per span");
  }
  options.leases = std::make_unique<LeaseSet>();
  for (size_t span = 0; span < options.spans.size(); ++span) {
    uint8_t* part = nullptr;
    if (destinations[2 * span] != -1) {
      const uint64_t pin = ToInteger(env, destinations[2 * span], "destinations");
      const uint64_t offset = ToInteger(env, destinations[2 * span + 1], "destinations");
      part = PartOfPin(env, options.leases.get(), pin, offset, options.spans[span]);
    }
    options.destinations.push_back(part);
  }
  return options;
}

Source ToSource(Napi::Value value) {
  const Napi::Env env = value.Env();
  const std::vector<uint64_t> numbers = ToIntegers(value, "pieces");
  if (numbers.size() % 3 != 0) ThrowInvalid(env, "pieces must hold three numbers each");
  Source source;
  source.leases = std::make_unique<LeaseSet>();
  source.pieces.reserve(numbers.size() / 3);
  for (size_t index = 0; index < numbers.size(); index += 3) {
    const uint64_t bytes = numbers[index + 2];
    const uint8_t* part =
        PartOfPin(env, source.leases.get(), numbers[index], numbers[index + 1], bytes);
    source.pieces.push_back({part, bytes});
  }
  return source;
}

struct WholeFile {
  std::string path;
  WriterOptions options;
  Source source;
};

WholeFile ToWholeFile(const Napi::CallbackInfo& info) {
  WholeFile file{ToPath(info[0], "path"), ToWriterOptions(info[1]), ToSource(info[2])};
  file.options.on_caller = true;
  return file;
}

Status WriteWhole(WholeFile* file, TransferResult* result) {
  std::unique_ptr<StreamWriter> writer;
  Status status = StreamWriter::Open(file->path, std::move(file->options), &writer);
  if (status.ok()) status = writer->Write(std::move(file->source));
  if (status.ok()) status = writer->Finish(result);
  file->source.leases.reset();  // in any case, before anyone is told
  return status;
}

// An ArrayBuffer that the mapping goes with. Throws ERR_NO_EXTERNAL_BUFFERS_ALLOWED where the
// runtime does not take the memory: at all, or because there is too much of it.
Napi::Value ToBuffer(Napi::Env env, FileMapping mapping) {
  // Not by way of Napi::ArrayBuffer::New, which frees what the runtime has freed when it refuses.
  auto* const owner = new FileMapping(std::move(mapping));
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, owner->data(), static_cast<size_t>(owner->bytes()),
      [](node_api_basic_env, void*, void* owned) { delete static_cast<FileMapping*>(owned); },
      owner, &buffer);
  if (status == napi_ok) return {env, buffer};
  // This one it gives after it has taken the memory, and with it the duty to free it.
  if (status != napi_generic_failure) delete owner;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) {
    napi_value exception = nullptr;
    (void)napi_get_and_clear_last_exception(env, &exception);
  }
  Napi::Error error = Napi::Error::New(env, "this runtime takes no such memory from outside");
  error.Set("code", Napi::String::New(env, "ERR_NO_EXTERNAL_BUFFERS_ALLOWED"));
  throw error;
}

}  // namespace

Napi::Value Addon::OpenWriter(Info info) {
  const std::string path = ToPath(info[0], "path");
  auto options = std::make_shared<WriterOptions>(ToWriterOptions(info[1]));
  return environment_->Spawn(
      info.Env(),
      [environment = environment_, path, options]() -> Outcome {
        std::unique_ptr<StreamWriter> opened;
        Status status = StreamWriter::Open(path, std::move(*options), &opened);
        if (!status.ok()) return {status, nullptr};
        std::shared_ptr<StreamWriter> writer(std::move(opened));
        uint64_t handle = 0;
        // A writer that nobody will hear of is abandoned by its destructor.
        if (!environment->IfOpen([&] {
              handle = Handles::Global().AddWriter(environment->id(), std::move(writer));
            })) {
          return {Status::Aborted(), nullptr};
        }
        return {Status::Ok(), [handle](Napi::Env env) {
                  return Napi::Number::New(env, static_cast<double>(handle));
                }};
      },
      nullptr);
}

Napi::Value Addon::Write(Info info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<StreamWriter> writer = ToWriter(info[0]);
  Source source = ToSource(info[1]);
  uint64_t ticket;
  const Napi::Promise promise = environment_->Begin(env, &ticket);
  writer->Write(std::move(source), [environment = environment_, ticket](const Status& status) {
    environment->Complete(ticket, {status, nullptr});
  });
  return promise;
}

// All of the above for one file whose bytes are at hand, in one step: between threads of JavaScript
// and of this library every step costs more than writing a small file does.
Napi::Value Addon::WriteFile(Info info) {
  auto file = std::make_shared<WholeFile>(ToWholeFile(info));
  if (file->options.abort == nullptr) file->options.abort = std::make_shared<AbortFlag>(false);
  return environment_->Spawn(
      info.Env(),
      [file] {
        auto result = std::make_shared<TransferResult>();
        Status status = WriteWhole(file.get(), result.get());
        return DigestOutcome(std::move(status), result);
      },
      [abort = file->options.abort] { abort->store(true, std::memory_order_release); });
}

// Blocks the thread of JavaScript: for one that nobody else waits for.
Napi::Value Addon::WriteFileSync(Info info) {
  WholeFile file = ToWholeFile(info);
  TransferResult result;
  ThrowIfError(info.Env(), WriteWhole(&file, &result));
  return ToDigest(info.Env(), result);
}

Napi::Value Addon::FinishWriter(Info info) {
  std::shared_ptr<StreamWriter> writer = TakeWriter(info[0]);
  return environment_->Spawn(
      info.Env(),
      [writer] {
        auto result = std::make_shared<TransferResult>();
        Status status = writer->Finish(result.get());
        return DigestOutcome(std::move(status), result);
      },
      [writer] { writer->Abort(); });
}

Napi::Value Addon::AbandonWriter(Info info) {
  std::shared_ptr<StreamWriter> writer = TakeWriter(info[0]);
  return environment_->Spawn(
      info.Env(),
      [writer]() -> Outcome {
        writer->Abandon();
        return {};
      },
      nullptr);
}

Napi::Value Addon::WrittenBytes(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(ToWriter(info[0])->written_bytes()));
}

Napi::Value Addon::OpenReader(Info info) {
  const std::string path = ToPath(info[0], "path");
  const DirectMode direct = ToDirectMode(info[1], "direct");
  return environment_->Spawn(
      info.Env(),
      [environment = environment_, path, direct]() -> Outcome {
        std::unique_ptr<StreamReader> opened;
        Status status = StreamReader::Open(path, direct, Operations::System(), &opened);
        if (!status.ok()) return {status, nullptr};
        std::shared_ptr<StreamReader> reader(std::move(opened));
        uint64_t handle = 0;
        if (!environment->IfOpen(
                [&] { handle = Handles::Global().AddReader(environment->id(), reader); })) {
          return {Status::Aborted(), nullptr};
        }
        return {Status::Ok(), [handle, bytes = reader->bytes(), is_direct = reader->direct(),
                               reason = reader->direct_reason()](Napi::Env env) {
                  Napi::Object result = Napi::Object::New(env);
                  result.Set("reader", static_cast<double>(handle));
                  result.Set("bytes", static_cast<double>(bytes));
                  result.Set("direct", is_direct);
                  result.Set("directReason", reason);
                  return result;
                }};
      },
      nullptr);
}

Napi::Value Addon::Read(Info info) {
  std::shared_ptr<StreamReader> reader = ToReader(info[0]);
  auto options = std::make_shared<ReadOptions>(ToReadOptions(info[1]));
  return environment_->Spawn(
      info.Env(),
      [reader, options] {
        auto result = std::make_shared<TransferResult>();
        Status status = reader->Read(std::move(*options), result.get());
        return DigestOutcome(std::move(status), result);
      },
      [reader] { reader->Abort(); });
}

Napi::Value Addon::ReadBytes(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(ToReader(info[0])->read_bytes()));
}

Napi::Value Addon::Map(Info info) {
  std::shared_ptr<StreamReader> reader = ToReader(info[0]);
  const uint64_t offset = ToInteger(info[1], "offset");
  const uint64_t bytes = ToInteger(info[2], "bytes");
  const std::shared_ptr<AbortFlag> abort = ToAbortFlag(info[3]);
  if (bytes == 0 || offset + bytes > reader->bytes()) {
    ThrowInvalid(info.Env(), "the range must be inside the file and not empty");
  }
  return environment_->Spawn(
      info.Env(),
      [reader, offset, bytes, abort]() -> Outcome {
        auto mapping = std::make_shared<FileMapping>();
        uint32_t crc32c = 0;
        Status status = reader->Map(offset, bytes, abort, mapping.get(), &crc32c);
        if (!status.ok()) return {std::move(status), nullptr};
        return {Status::Ok(), [mapping, crc32c](Napi::Env env) -> Napi::Value {
                  const Napi::Value buffer = ToBuffer(env, std::move(*mapping));
                  Napi::Object result = Napi::Object::New(env);
                  result.Set("buffer", buffer);
                  result.Set("crc32c", Napi::Number::New(env, crc32c));
                  return result;
                }};
      },
      [reader] { reader->Abort(); });
}

Napi::Value Addon::CloseReader(Info info) {
  const uint64_t handle = ToInteger(info[0], "reader");
  const std::shared_ptr<StreamReader> reader = Handles::Global().TakeReader(handle);
  if (reader == nullptr) ThrowInvalid(info.Env(), "reader is not a handle of an open reader");
  reader->Abort();
  return info.Env().Undefined();
}

}  // namespace holdfast
