#include "binding/arguments.h"

#include <cmath>

#include "binding/errors.h"
#include "core/start_engine.h"

namespace holdfast {

namespace {

std::string Named(const char* name, const char* rest) {
  return std::string(name) + rest;
}

// 0 for a kind that this Node-API version does not know.
size_t ElementBytes(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 0;
  }
}

bool GetTypedArray(napi_env env, napi_value value, Memory* memory, napi_value* buffer) {
  napi_typedarray_type type = static_cast<napi_typedarray_type>(-1);
  size_t length = 0;
  void* data = nullptr;
  size_t offset = 0;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, buffer, &offset) != napi_ok) {
    return false;
  }
  const size_t element_bytes = ElementBytes(type);
  if (element_bytes == 0) return false;
  memory->data = static_cast<uint8_t*>(data);
  memory->bytes = static_cast<uint64_t>(length) * element_bytes;
  return true;
}

bool GetDataView(napi_env env, napi_value value, Memory* memory, napi_value* buffer) {
  size_t bytes = 0;
  void* data = nullptr;
  size_t offset = 0;
  if (napi_get_dataview_info(env, value, &bytes, &data, buffer, &offset) != napi_ok) return false;
  memory->data = static_cast<uint8_t*>(data);
  memory->bytes = bytes;
  return true;
}

}  // namespace

uint64_t ToInteger(Napi::Env env, double number, const char* name) {
  if (!(number >= 0) || number > static_cast<double>(kSafeIntegerMax) ||
      number != std::floor(number)) {
    ThrowInvalid(env, Named(name, " must hold integers from 0 to 2^53 - 1"));
  }
  return static_cast<uint64_t>(number);
}

uint64_t ToInteger(Napi::Value value, const char* name, uint64_t maximum) {
  if (!value.IsNumber()) ThrowInvalid(value.Env(), Named(name, " must be a number"));
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0) || number > static_cast<double>(maximum) || number != std::floor(number)) {
    ThrowInvalid(value.Env(),
                 Named(name, " must be an integer from 0 to ") + std::to_string(maximum));
  }
  return static_cast<uint64_t>(number);
}

std::string ToPath(Napi::Value value, const char* name) {
  if (!value.IsString()) ThrowInvalid(value.Env(), Named(name, " must be a string"));
  std::string path = value.As<Napi::String>().Utf8Value();
  if (path.empty() || path.find('\0') != std::string::npos) {
    ThrowInvalid(value.Env(), Named(name, " must not be empty and must not hold a NUL"));
  }
  return path;
}

DirectMode ToDirectMode(Napi::Value value, const char* name) {
  const std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (text == "required") return DirectMode::kRequired;
  if (text == "optional") return DirectMode::kOptional;
  if (text == "disabled") return DirectMode::kDisabled;
  ThrowInvalid(value.Env(), Named(name, " must be 'required', 'optional' or 'disabled'"));
}

EngineKind ToEngineKind(Napi::Value value, const char* name) {
  EngineKind kind = EngineKind::kAuto;
  if (value.IsUndefined()) return kind;
  const std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (ParseEngineKind(text, &kind)) return kind;
  ThrowInvalid(value.Env(), Named(name, " must be 'auto', 'threads' or 'io_uring'"));
}

Napi::Object ToObject(Napi::Value value, const char* name) {
  if (!value.IsObject()) ThrowInvalid(value.Env(), Named(name, " must be an object"));
  return value.As<Napi::Object>();
}

std::vector<double> ToNumbers(Napi::Value value, const char* name) {
  Memory memory;
  napi_value buffer = nullptr;
  napi_typedarray_type type = static_cast<napi_typedarray_type>(-1);
  bool fits = value.IsTypedArray() && GetTypedArray(value.Env(), value, &memory, &buffer);
  if (fits) {
    size_t length;
    void* data;
    size_t offset;
    fits = napi_get_typedarray_info(value.Env(), value, &type, &length, &data, &buffer, &offset) ==
               napi_ok &&
           type == napi_float64_array;
  }
  if (!fits) ThrowInvalid(value.Env(), Named(name, " must be a Float64Array"));
  const double* numbers = reinterpret_cast<const double*>(memory.data);
  // Copied before it is checked: the memory may be shared with another thread.
  return std::vector<double>(numbers, numbers + memory.bytes / sizeof(double));
}

std::vector<uint64_t> ToIntegers(Napi::Value value, const char* name) {
  std::vector<uint64_t> integers;
  for (const double number : ToNumbers(value, name)) {
    integers.push_back(ToInteger(value.Env(), number, name));
  }
  return integers;
}

bool GetMemory(Napi::Value value, Memory* memory) {
  const napi_env env = value.Env();
  napi_value buffer = nullptr;
  *memory = Memory{};
  if (value.IsArrayBuffer()) {
    void* data = nullptr;
    size_t bytes = 0;
    if (napi_get_arraybuffer_info(env, value, &data, &bytes) != napi_ok) return false;
    memory->data = static_cast<uint8_t*>(data);
    memory->bytes = bytes;
    memory->buffer = value;
    return true;
  }
  if (value.IsTypedArray()) {
    if (!GetTypedArray(env, value, memory, &buffer)) return false;
  } else if (value.IsDataView()) {
    if (!GetDataView(env, value, memory, &buffer)) return false;
  } else {
    return false;
  }
  memory->buffer = Napi::Value(env, buffer);
  memory->shared = !memory->buffer.IsArrayBuffer();
  return true;
}

Memory ToMemory(Napi::Value value, const char* name) {
  Memory memory;
  if (!GetMemory(value, &memory)) {
    ThrowInvalid(value.Env(),
                 Named(name,
                       " must be an ArrayBuffer, a typed array or a DataView (wrap a "
                       "SharedArrayBuffer or a kind that Node-API does not know in a Uint8Array)"));
  }
  return memory;
}

}  // namespace holdfast
