// The functions that the addon exports; src/native.ts describes each. No logic here: arguments in,
// results and errors out.
#ifndef HOLDFAST_BINDING_ADDON_H_
#define HOLDFAST_BINDING_ADDON_H_

#include <napi.h>

#include <memory>

#include "binding/environment.h"
#include "core/transfer.h"

namespace holdfast {

class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);

 private:
  using Info = const Napi::CallbackInfo&;
  using Method = Napi::Value (Addon::*)(Info);

  // addon.cc
  Napi::Value Crc32cImplementationNames(Info info);
  Napi::Value Crc32cOf(Info info);
  Napi::Value Crc32cCombined(Info info);
  Napi::Value ProbePath(Info info);
  Napi::Value IoUring(Info info);
  Napi::Value Rename(Info info);
  Napi::Value RenameSync(Info info);
  Napi::Value Lock(Info info);
  Napi::Value Unlock(Info info);
  Napi::Value Stats(Info info);
  Napi::Value CreateAbortToken(Info info);
  Napi::Value Abort(Info info);
  Napi::Value ReleaseAbortToken(Info info);
  Napi::Value SetNice(Info info);

  // pins.cc
  Napi::Value PinMemory(Info info);
  Napi::Value IsIntact(Info info);
  Napi::Value Unpin(Info info);

  // arenas.cc
  Napi::Value CreateArena(Info info);
  Napi::Value PrefaultArena(Info info);
  Napi::Value ArenaMemory(Info info);
  Napi::Value CopyToArena(Info info);
  Napi::Value ReleaseArena(Info info);
  Napi::Value Crc32cOfMemoryRanges(Info info);

  // streams.cc
  Napi::Value OpenWriter(Info info);
  Napi::Value Write(Info info);
  Napi::Value WriteFile(Info info);
  Napi::Value WriteFileSync(Info info);
  Napi::Value FinishWriter(Info info);
  Napi::Value AbandonWriter(Info info);
  Napi::Value WrittenBytes(Info info);
  Napi::Value OpenReader(Info info);
  Napi::Value Read(Info info);
  Napi::Value ReadBytes(Info info);
  Napi::Value Map(Info info);
  Napi::Value CloseReader(Info info);

  // Wrappers: errors of the C++ library become errors of JavaScript; errors of an asynchronous
  // function become a rejection.
  template <Method method>
  Napi::Value Sync(Info info);
  template <Method method>
  Napi::Value Async(Info info);

  std::shared_ptr<Environment> environment_;
  // The constructor, as it was when the addon was loaded.
  Napi::FunctionReference data_view_;
  // The getters of ArrayBuffer.prototype.resizable and SharedArrayBuffer.prototype.growable; empty
  // where the engine has none.
  Napi::FunctionReference resizable_;
  Napi::FunctionReference growable_;
};

// The flag of an abort token argument; null for 0, throws for an unknown one.
std::shared_ptr<AbortFlag> ToAbortFlag(Napi::Value value);

}  // namespace holdfast

#endif  // HOLDFAST_BINDING_ADDON_H_
