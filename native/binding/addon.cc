#include "binding/addon.h"

#include <cstring>
#include <new>
#include <string>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/handles.h"
#include "core/arena.h"
#include "core/counters.h"
#include "core/crc32c.h"
#include "core/pin_table.h"
#include "core/start_engine.h"
#include "core/system_probe.h"

namespace holdfast {

namespace {

// The getter of an accessor property of a global class, or nothing.
Napi::FunctionReference FindGetter(Napi::Env env, const char* class_name, const char* property) {
  const Napi::Value constructor = env.Global().Get(class_name);
  if (!constructor.IsFunction()) return {};
  const Napi::Value prototype = constructor.As<Napi::Object>().Get("prototype");
  const Napi::Object object = env.Global().Get("Object").As<Napi::Object>();
  const Napi::Value descriptor = object.Get("getOwnPropertyDescriptor")
                                     .As<Napi::Function>()
                                     .Call(object, {prototype, Napi::String::New(env, property)});
  if (!descriptor.IsObject()) return {};
  const Napi::Value getter = descriptor.As<Napi::Object>().Get("get");
  return getter.IsFunction() ? Napi::Persistent(getter.As<Napi::Function>())
                             : Napi::FunctionReference();
}

}  // namespace

template <Addon::Method method>
Napi::Value Addon::Sync(Info info) {
  try {
    return (this->*method)(info);
  } catch (const std::bad_alloc&) {
    throw ToError(info.Env(), Status::OutOfMemory());
  }
}

template <Addon::Method method>
Napi::Value Addon::Async(Info info) {
  try {
    return Sync<method>(info);
  } catch (const Napi::Error& error) {
    const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(info.Env());
    deferred.Reject(error.Value());
    return deferred.Promise();
  }
}

Addon::Addon(Napi::Env env, Napi::Object exports) {
  environment_ = Environment::Create(env);
  (void)WishedEngine();  // read now: later the program may have changed its environment
  resizable_ = FindGetter(env, "ArrayBuffer", "resizable");
  data_view_ = Napi::Persistent(env.Global().Get("DataView").As<Napi::Function>());
  growable_ = FindGetter(env, "SharedArrayBuffer", "growable");
  DefineAddon(
      exports,
      {
          InstanceValue("version", Napi::String::New(env, HOLDFAST_VERSION), napi_enumerable),
          InstanceMethod("crc32cImplementations", &Addon::Sync<&Addon::Crc32cImplementationNames>),
          InstanceMethod("crc32c", &Addon::Sync<&Addon::Crc32cOf>),
          InstanceMethod("crc32cCombine", &Addon::Sync<&Addon::Crc32cCombined>),
          InstanceMethod("probe", &Addon::Sync<&Addon::ProbePath>),
          InstanceMethod("ioUring", &Addon::Sync<&Addon::IoUring>),
          InstanceMethod("renameNoReplace", &Addon::Async<&Addon::Rename>),
          InstanceMethod("renameNoReplaceSync", &Addon::Sync<&Addon::RenameSync>),
          InstanceMethod("lockFile", &Addon::Sync<&Addon::Lock>),
          InstanceMethod("unlockFile", &Addon::Sync<&Addon::Unlock>),
          InstanceMethod("pin", &Addon::Sync<&Addon::PinMemory>),
          InstanceMethod("isIntact", &Addon::Sync<&Addon::IsIntact>),
          InstanceMethod("unpin", &Addon::Sync<&Addon::Unpin>),
          InstanceMethod("stats", &Addon::Sync<&Addon::Stats>),
          InstanceMethod("createAbortToken", &Addon::Sync<&Addon::CreateAbortToken>),
          InstanceMethod("abort", &Addon::Sync<&Addon::Abort>),
          InstanceMethod("releaseAbortToken", &Addon::Sync<&Addon::ReleaseAbortToken>),
          InstanceMethod("setThreadNice", &Addon::Sync<&Addon::SetNice>),
          InstanceMethod("createArena", &Addon::Sync<&Addon::CreateArena>),
          InstanceMethod("prefaultArena", &Addon::Async<&Addon::PrefaultArena>),
          InstanceMethod("arenaMemory", &Addon::Sync<&Addon::ArenaMemory>),
          InstanceMethod("copyToArena", &Addon::Sync<&Addon::CopyToArena>),
          InstanceMethod("releaseArena", &Addon::Sync<&Addon::ReleaseArena>),
          InstanceMethod("crc32cOfRanges", &Addon::Sync<&Addon::Crc32cOfMemoryRanges>),
          InstanceMethod("openWriter", &Addon::Async<&Addon::OpenWriter>),
          InstanceMethod("write", &Addon::Async<&Addon::Write>),
          InstanceMethod("writeFile", &Addon::Async<&Addon::WriteFile>),
          InstanceMethod("writeFileSync", &Addon::Sync<&Addon::WriteFileSync>),
          InstanceMethod("finishWriter", &Addon::Async<&Addon::FinishWriter>),
          InstanceMethod("abandonWriter", &Addon::Async<&Addon::AbandonWriter>),
          InstanceMethod("writtenBytes", &Addon::Sync<&Addon::WrittenBytes>),
          InstanceMethod("openReader", &Addon::Async<&Addon::OpenReader>),
          InstanceMethod("read", &Addon::Async<&Addon::Read>),
          InstanceMethod("readBytes", &Addon::Sync<&Addon::ReadBytes>),
          InstanceMethod("map", &Addon::Async<&Addon::Map>),
          InstanceMethod("closeReader", &Addon::Sync<&Addon::CloseReader>),
      });
}

Napi::Value Addon::Crc32cImplementationNames(Info info) {
  size_t count;
  const Crc32cImplementation* list = Crc32cImplementations(&count);
  Napi::Array names = Napi::Array::New(info.Env(), count);
  for (size_t index = 0; index < count; ++index) {
    names.Set(static_cast<uint32_t>(index), list[index].name);
  }
  return names;
}

Napi::Value Addon::Crc32cOf(Info info) {
  uint32_t seed = 0;
  if (!info[1].IsUndefined()) {
    seed = static_cast<uint32_t>(ToInteger(info[1], "seed", UINT32_MAX));
  }
  size_t count;
  const Crc32cImplementation* list = Crc32cImplementations(&count);
  const Crc32cImplementation* chosen = &list[0];
  if (!info[2].IsUndefined()) {
    const std::string name = info[2].IsString() ? info[2].As<Napi::String>().Utf8Value() : "";
    for (chosen = list; chosen != list + count && name != chosen->name;) ++chosen;
    if (chosen == list + count) {
      ThrowInvalid(info.Env(), "implementation must be one of crc32cImplementations()");
    }
  }
  const Memory memory = ToMemory(info[0], "data");
  return Napi::Number::New(info.Env(), chosen->function(memory.data, memory.bytes, seed));
}

Napi::Value Addon::Crc32cCombined(Info info) {
  const auto first = static_cast<uint32_t>(ToInteger(info[0], "first", UINT32_MAX));
  const auto second = static_cast<uint32_t>(ToInteger(info[1], "second", UINT32_MAX));
  const uint64_t second_bytes = ToInteger(info[2], "secondBytes");
  return Napi::Number::New(info.Env(), Crc32cCombine(first, second, second_bytes));
}

Napi::Value Addon::ProbePath(Info info) {
  const Napi::Env env = info.Env();
  ProbeResult result;
  ThrowIfError(env, Probe(ToPath(info[0], "path"), &result));
  Napi::Object direct = Napi::Object::New(env);
  direct.Set("supported", result.direct);
  direct.Set("memoryAlignment", result.memory_alignment);
  direct.Set("offsetAlignment", result.offset_alignment);
  direct.Set("reason", result.reason);
  Napi::Object probe = Napi::Object::New(env);
  probe.Set("fileSystem", result.file_system);
  probe.Set("directIo", direct);
  return probe;
}

Napi::Value Addon::IoUring(Info info) {
  std::string reason;
  const bool available = ProbeIoUring(&reason);
  const bool used = available && ResolveEngine(EngineKind::kAuto) == EngineKind::kUring;
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("available", available);
  result.Set("reason", reason);
  result.Set("wish", EngineKindName(WishedEngine().kind));
  result.Set("unknownWish", WishedEngine().unknown);
  result.Set("used", EngineKindName(used ? EngineKind::kUring : EngineKind::kThreads));
  result.Set("refusals", static_cast<double>(counters().ring_refusals.load()));
  return result;
}

Napi::Value Addon::RenameSync(Info info) {
  ThrowIfError(info.Env(), RenameNoReplace(ToPath(info[0], "from"), ToPath(info[1], "to")));
  return info.Env().Undefined();
}

Napi::Value Addon::Rename(Info info) {
  const std::string from = ToPath(info[0], "from");
  const std::string to = ToPath(info[1], "to");
  return environment_->Spawn(
      info.Env(),
      [from, to]() -> Outcome {
        return {RenameNoReplace(from, to), nullptr};
      },
      nullptr);
}

Napi::Value Addon::Lock(Info info) {
  int fd;
  ThrowIfError(info.Env(), LockFile(ToPath(info[0], "path"), &fd));
  const uint64_t handle = Handles::Global().AddLock(environment_->id(), fd);
  return Napi::Number::New(info.Env(), static_cast<double>(handle));
}

Napi::Value Addon::Unlock(Info info) {
  int fd;
  if (!Handles::Global().TakeLock(ToInteger(info[0], "lock"), &fd)) {
    ThrowInvalid(info.Env(), "lock is not a handle of a held lock");
  }
  UnlockFile(fd);
  return info.Env().Undefined();
}

Napi::Value Addon::Stats(Info info) {
  const Napi::Env env = info.Env();
  Napi::Object stats = Napi::Object::New(env);
  const auto set = [&](const char* name, double value) {
    stats.Set(name, Napi::Number::New(env, value));
  };
  set("pins", static_cast<double>(PinTable::Global().size()));
  set("writers", static_cast<double>(Handles::Global().writers()));
  set("readers", static_cast<double>(Handles::Global().readers()));
  set("abortTokens", static_cast<double>(AbortTable::Global().size()));
  set("stagingBytes", static_cast<double>(counters().staging_bytes.load()));
  set("spareStagingBytes", static_cast<double>(counters().spare_staging_bytes.load()));
  set("arenas", static_cast<double>(ArenaTable::Global().size()));
  set("arenaBytes", static_cast<double>(counters().arena_bytes.load()));
  set("mappedBytes", static_cast<double>(counters().mapped_bytes.load()));
  set("threads", static_cast<double>(counters().threads.load()));
  return stats;
}

Napi::Value Addon::CreateAbortToken(Info info) {
  const uint64_t token = AbortTable::Global().Create(environment_->id());
  return Napi::Number::New(info.Env(), static_cast<double>(token));
}

Napi::Value Addon::Abort(Info info) {
  const std::shared_ptr<AbortFlag> flag = ToAbortFlag(info[0]);
  if (flag == nullptr) ThrowInvalid(info.Env(), "token must not be 0");
  flag->store(true);
  return info.Env().Undefined();
}

Napi::Value Addon::ReleaseAbortToken(Info info) {
  if (!AbortTable::Global().Release(ToInteger(info[0], "token"))) {
    ThrowInvalid(info.Env(), "token is not a live abort token");
  }
  return info.Env().Undefined();
}

Napi::Value Addon::SetNice(Info info) {
  ThrowIfError(info.Env(), SetThreadNice(static_cast<int>(ToInteger(info[0], "nice", 19))));
  return info.Env().Undefined();
}

std::shared_ptr<AbortFlag> ToAbortFlag(Napi::Value value) {
  const uint64_t token = ToInteger(value, "abort");
  if (token == 0) return nullptr;
  std::shared_ptr<AbortFlag> flag = AbortTable::Global().Find(token);
  if (flag == nullptr) ThrowInvalid(value.Env(), "abort is not a live abort token");
  return flag;
}

NODE_API_ADDON(Addon)

}  // namespace holdfast
