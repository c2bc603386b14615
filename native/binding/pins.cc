#include <string>

#include "binding/addon.h"
#include "binding/arguments.h"
#include "binding/errors.h"
#include "core/pin_table.h"

namespace holdfast {

namespace {

constexpr uint64_t kWebAssemblyPageBytes = 65536;
constexpr uintptr_t kPageBytes = 4096;

bool IsTrue(Napi::FunctionReference& getter, Napi::Value buffer) {
  return !getter.IsEmpty() && getter.Value().Call(buffer, {}).ToBoolean().Value();
}

bool IsDetached(Napi::Value buffer) {
  bool detached = false;
  (void)napi_is_detached_arraybuffer(buffer.Env(), buffer, &detached);
  return detached;
}

// The memory of a WebAssembly.Memory is detached whenever it grows. Node-API can't name it, but it
// is always a whole number of WebAssembly pages and begins on a page, which memory of an ordinary
// ArrayBuffer rarely does (an allocator's header comes first). Too much is refused rather than too
// little: a caller that is refused looks closer, or copies.
bool MayBeWebAssembly(const Memory& memory) {
  if (memory.shared) return false;  // shared WebAssembly memory grows in place
  void* data = nullptr;
  size_t bytes = 0;
  if (napi_get_arraybuffer_info(memory.buffer.Env(), memory.buffer, &data, &bytes) != napi_ok) {
    return true;
  }
  return bytes != 0 && bytes % kWebAssemblyPageBytes == 0 &&
         reinterpret_cast<uintptr_t>(data) % kPageBytes == 0;
}

// Frees memory that nobody uses any more now, instead of when garbage is collected. Where it can't
// be detached it stays what it was: garbage.
void Discard(Napi::Env env, napi_ref reference) {
  napi_value value = nullptr;
  if (napi_get_reference_value(env, reference, &value) != napi_ok || value == nullptr) return;
  bool is_buffer = false;
  if (napi_is_arraybuffer(env, value, &is_buffer) != napi_ok || !is_buffer) return;
  (void)napi_detach_arraybuffer(env, value);
}

}  // namespace

Napi::Value Addon::PinMemory(Info info) {
  const Napi::Env env = info.Env();
  const Memory memory = ToMemory(info[0], "memory");
  if (memory.shared ? IsTrue(growable_, memory.buffer) : IsTrue(resizable_, memory.buffer)) {
    ThrowInvalid(env, "memory must be of fixed length: a resizable buffer can't be pinned");
  }
  if (!memory.shared && IsDetached(memory.buffer)) ThrowInvalid(env, "memory is detached");
  // A caller that knows where the memory comes from (its own arena, a buffer that it just made)
  // says so.
  if (!info[1].IsUndefined() && !info[1].IsBoolean()) {
    ThrowInvalid(env, "trusted must be a boolean");
  }
  const bool trusted = info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
  if (!trusted && MayBeWebAssembly(memory)) {
    ThrowInvalid(env,
                 "memory looks like that of a WebAssembly.Memory, which is detached when it grows: "
                 "it can't be pinned");
  }
  napi_ref reference;
  if (napi_create_reference(env, info[0], 1, &reference) != napi_ok) throw Napi::Error::New(env);
  const uint64_t handle = PinTable::Global().Add(environment_->id(), memory.data, memory.bytes);
  environment_->pin_references.emplace(handle, reference);
  return Napi::Number::New(env, static_cast<double>(handle));
}

Napi::Value Addon::IsIntact(Info info) {
  const Napi::Env env = info.Env();
  const uint64_t handle = ToInteger(info[0], "pin");
  const auto found = environment_->pin_references.find(handle);
  PinLease pin = PinTable::Global().Acquire(handle);
  if (found == environment_->pin_references.end() || !pin) {
    ThrowInvalid(env, "pin is not a handle of memory that this thread pinned");
  }
  napi_value value = nullptr;
  if (napi_get_reference_value(env, found->second, &value) != napi_ok || value == nullptr) {
    throw Napi::Error::New(env);
  }
  Memory memory;
  const bool intact = GetMemory(Napi::Value(env, value), &memory) && memory.data == pin->data &&
                      memory.bytes == pin->bytes && (memory.shared || !IsDetached(memory.buffer));
  return Napi::Boolean::New(env, intact);
}

Napi::Value Addon::Unpin(Info info) {
  const Napi::Env env = info.Env();
  const uint64_t handle = ToInteger(info[0], "pin");
  if (!info[1].IsUndefined() && !info[1].IsBoolean()) {
    ThrowInvalid(env, "discard must be a boolean");
  }
  const bool discard = info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
  const auto found = environment_->pin_references.find(handle);
  if (found == environment_->pin_references.end()) {
    ThrowInvalid(env, "pin is not a handle of memory that this thread pinned");
  }
  const napi_ref reference = found->second;
  environment_->pin_references.erase(found);
  environment_->leaving_references.emplace(handle, reference);
  const auto let_go = [environment = environment_, handle](Napi::Env later) {
    const auto leaving = environment->leaving_references.find(handle);
    if (leaving == environment->leaving_references.end()) return;
    (void)napi_delete_reference(later, leaving->second);
    environment->leaving_references.erase(leaving);
  };
  const auto result = PinTable::Global().Unpin(
      handle, environment_->id(),
      [environment = environment_, let_go] { environment->RunLater(let_go); });
  if (result == PinTable::UnpinResult::kDeferred) return env.Undefined();
  if (discard) Discard(env, reference);
  let_go(env);
  return env.Undefined();
}

}  // namespace holdfast
