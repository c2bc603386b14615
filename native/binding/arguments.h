// JavaScript values in, checked. TypeScript validates with better words; here nothing may get
// through that could crash. Everything throws an Error with code ERR_INVALID_ARGUMENT.
#ifndef HOLDFAST_BINDING_ARGUMENTS_H_
#define HOLDFAST_BINDING_ARGUMENTS_H_

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/engine.h"

namespace holdfast {

inline constexpr uint64_t kSafeIntegerMax = (uint64_t{1} << 53) - 1;

// An integer from 0 to `maximum`.
uint64_t ToInteger(Napi::Value value, const char* name, uint64_t maximum = kSafeIntegerMax);
// A file system path: a string that is not empty and holds no NUL.
std::string ToPath(Napi::Value value, const char* name);
DirectMode ToDirectMode(Napi::Value value, const char* name);
// undefined: kAuto.
EngineKind ToEngineKind(Napi::Value value, const char* name);
Napi::Object ToObject(Napi::Value value, const char* name);
// A copy of a Float64Array.
std::vector<double> ToNumbers(Napi::Value value, const char* name);
// Every number a safe integer >= 0.
std::vector<uint64_t> ToIntegers(Napi::Value value, const char* name);
// One number of a Float64Array, checked the same way.
uint64_t ToInteger(Napi::Env env, double number, const char* name);

// The memory of an ArrayBuffer or a view. Valid until JavaScript runs again.
struct Memory {
  uint8_t* data = nullptr;
  uint64_t bytes = 0;
  Napi::Value buffer;  // the ArrayBuffer or SharedArrayBuffer behind it
  bool shared = false;
};

// False if `value` is neither an ArrayBuffer nor a view of a known kind. Does not throw.
bool GetMemory(Napi::Value value, Memory* memory);
Memory ToMemory(Napi::Value value, const char* name);

}  // namespace holdfast

#endif  // HOLDFAST_BINDING_ARGUMENTS_H_
