#include <memory>
#include <vector>

#include "binding/addon.h"
#include "binding/arguments.h"
#include "binding/errors.h"
#include "core/arena.h"
#include "core/parallel_copy.h"

namespace holdfast {

namespace {

ArenaLease ToArena(Napi::Value value, uint64_t owner) {
  ArenaLease arena;
  if (!ArenaTable::Global().Find(ToInteger(value, "arena"), owner, &arena)) {
    ThrowInvalid(value.Env(), "arena is not a handle of an arena that this thread created");
  }
  return arena;
}

// Node.js 20 knows the memory of a SharedArrayBuffer only through a view, and a DataView is the one
// that has no limit of its own.
bool GetSharedMemory(Napi::FunctionReference& data_view, Napi::Value value, Memory* memory) {
  if (!value.IsObject()) return false;
  try {
    return GetMemory(data_view.New({value}), memory);
  } catch (const Napi::Error&) {
    return false;  // no buffer at all
  }
}

std::vector<MemoryRange> ToBuffers(Napi::FunctionReference& data_view, Napi::Value value) {
  const Napi::Env env = value.Env();
  if (!value.IsArray()) ThrowInvalid(env, "buffers must be an array");
  const Napi::Array array = value.As<Napi::Array>();
  // All elements before the memory of any: an accessor could take away what was looked at before.
  std::vector<Napi::Value> values(array.Length());
  for (uint32_t index = 0; index < values.size(); ++index) values[index] = array.Get(index);
  std::vector<MemoryRange> buffers;
  buffers.reserve(values.size());
  for (const Napi::Value& each : values) {
    Memory memory;
    if (!GetMemory(each, &memory) && !GetSharedMemory(data_view, each, &memory)) {
      ThrowInvalid(env, "buffers must hold ArrayBuffers, SharedArrayBuffers and views of them");
    }
    bool detached = false;
    if (!memory.shared) {
      (void)napi_is_detached_arraybuffer(env, memory.buffer, &detached);
    }
    if (detached) {
      ThrowIfError(env, Status::SourceChanged("buffer " + std::to_string(buffers.size()) +
                                              " of the list was detached"));
    }
    buffers.push_back({memory.data, memory.bytes});
  }
  return buffers;
}

}  // namespace

Napi::Value Addon::CreateArena(Info info) {
  uint64_t handle;
  ThrowIfError(info.Env(), ArenaTable::Global().Create(environment_->id(),
                                                       ToInteger(info[0], "bytes"), &handle));
  return Napi::Number::New(info.Env(), static_cast<double>(handle));
}

Napi::Value Addon::PrefaultArena(Info info) {
  auto arena = std::make_shared<ArenaLease>(ToArena(info[0], environment_->id()));
  // Nothing to stop it with: it looks at the lease.
  return environment_->Spawn(
      info.Env(),
      [arena]() -> Outcome {
        return {Prefault(*arena), nullptr};
      },
      nullptr);
}

Napi::Value Addon::ArenaMemory(Info info) {
  const Napi::Env env = info.Env();
  const ArenaLease arena = ToArena(info[0], environment_->id());
  // Nothing to do when it is collected: the memory is the arena's, and goes with it.
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, arena.memory->data, static_cast<size_t>(arena.memory->bytes),
      [](node_api_basic_env, void*, void*) {}, nullptr, &buffer);
  if (status == napi_no_external_buffers_allowed) return env.Undefined();
  NAPI_THROW_IF_FAILED(env, status, env.Undefined());
  return {env, buffer};
}

Napi::Value Addon::CopyToArena(Info info) {
  const Napi::Env env = info.Env();
  const std::vector<uint64_t> numbers = ToIntegers(info[2], "ranges");
  const std::vector<MemoryRange> buffers = ToBuffers(data_view_, info[1]);
  // Last: the accessors of a hostile array could have released it.
  const ArenaLease arena = ToArena(info[0], environment_->id());
  std::vector<CopyRange> ranges;
  ThrowIfError(env, PlanCopy(buffers, numbers, arena.memory->data, arena.memory->bytes, &ranges));
  CopyRanges(ranges);
  return env.Undefined();
}

Napi::Value Addon::ReleaseArena(Info info) {
  if (!ArenaTable::Global().Release(ToInteger(info[0], "arena"), environment_->id())) {
    ThrowInvalid(info.Env(), "arena is not a handle of an arena that this thread created");
  }
  return info.Env().Undefined();
}

Napi::Value Addon::Crc32cOfMemoryRanges(Info info) {
  const Napi::Env env = info.Env();
  const std::vector<uint64_t> numbers = ToIntegers(info[1], "ranges");
  const std::vector<MemoryRange> buffers = ToBuffers(data_view_, info[0]);
  std::vector<MemoryRange> ranges;
  ThrowIfError(env, PlanRanges(buffers, numbers, &ranges));
  const std::vector<uint32_t> sums = Crc32cOfRanges(ranges);
  Napi::Uint32Array array = Napi::Uint32Array::New(env, sums.size());
  for (size_t index = 0; index < sums.size(); ++index) array[index] = sums[index];
  return array;
}

}  // namespace holdfast
