// The one place where a Status becomes a JavaScript Error.
#ifndef HOLDFAST_BINDING_ERRORS_H_
#define HOLDFAST_BINDING_ERRORS_H_

#include <napi.h>

#include <string>

#include "core/status.h"

namespace holdfast {

// Error { code, message, and for a failed system call errno (negative, as in Node.js), syscall,
// path }.
Napi::Error ToError(Napi::Env env, const Status& status);
// Throws unless the status is ok.
void ThrowIfError(Napi::Env env, const Status& status);
[[noreturn]] void ThrowInvalid(Napi::Env env, const std::string& message);

}  // namespace holdfast

#endif  // HOLDFAST_BINDING_ERRORS_H_
