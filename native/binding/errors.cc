#include "binding/errors.h"

namespace holdfast {

Napi::Error ToError(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.message());
  error.Set("code", Napi::String::New(env, status.code_name()));
  if (status.code() == Code::kSystem) {
    error.Set("errno", Napi::Number::New(env, -status.error_number()));
    error.Set("syscall", Napi::String::New(env, status.system_call()));
  }
  if (!status.path().empty()) error.Set("path", Napi::String::New(env, status.path()));
  return error;
}

void ThrowIfError(Napi::Env env, const Status& status) {
  if (!status.ok()) throw ToError(env, status);
}

void ThrowInvalid(Napi::Env env, const std::string& message) {
  throw ToError(env, Status::InvalidArgument(message));
}

}  // namespace holdfast
