#include "core/status.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace holdfast {

Status::Status(Details details) : details_(std::make_shared<const Details>(std::move(details))) {}

const Status::Details& Status::details() const {
  static const Details* const empty = new Details;
  return details_ ? *details_ : *empty;
}

Status Status::InvalidArgument(std::string message) {
  return Status(Details{Code::kInvalidArgument, 0, {}, {}, std::move(message)});
}

// Made when the library is loaded, and never freed: to give up must not need memory.
const Status& Status::aborted_ =
    *new Status(Details{Code::kAborted, 0, {}, {}, "the operation was aborted"});
const Status& Status::out_of_memory_ = *new Status(System(ENOMEM, "malloc", ""));

Status Status::Aborted() {
  return aborted_;
}

Status Status::SourceChanged(std::string message) {
  return Status(Details{Code::kSourceChanged, 0, {}, {}, std::move(message)});
}

Status Status::DirectIo(std::string message, std::string path) {
  return Status(Details{Code::kDirectIo, 0, {}, std::move(path), std::move(message)});
}

Status Status::Truncated(std::string message, std::string path) {
  return Status(Details{Code::kTruncated, 0, {}, std::move(path), std::move(message)});
}

Status Status::System(int error_number, std::string_view system_call, std::string_view path) {
  char buffer[128] = "";
  // The GNU form, which returns the text; it is thread-safe where strerror is not.
  const char* words = strerror_r(error_number, buffer, sizeof buffer);
  std::string message = ErrorName(error_number) + ": " + words + ", " + std::string(system_call);
  if (!path.empty()) message += " '" + std::string(path) + "'";
  return Status(Details{Code::kSystem, error_number, std::string(system_call), std::string(path),
                        std::move(message)});
}

Status Status::OutOfMemory() {
  return out_of_memory_;
}

std::string Status::code_name() const {
  switch (code()) {
    case Code::kOk:
      return "OK";
    case Code::kSystem:
      return ErrorName(error_number());
    case Code::kInvalidArgument:
      return "ERR_INVALID_ARGUMENT";
    case Code::kAborted:
      return "ERR_ABORTED";
    case Code::kSourceChanged:
      return "ERR_SOURCE_CHANGED";
    case Code::kDirectIo:
      return "ERR_DIRECT_IO";
    case Code::kTruncated:
      return "ERR_TRUNCATED";
  }
  return "ERR_UNKNOWN";
}

// strerrorname_np would need glibc 2.32; this table keeps the floor low. It holds every name that
// the system calls of operations.h can give.
std::string ErrorName(int error_number) {
  static constexpr struct {
    int number;
    const char* name;
  } kNames[] = {
      {EPERM, "EPERM"},
      {ENOENT, "ENOENT"},
      {EINTR, "EINTR"},
      {EIO, "EIO"},
      {ENXIO, "ENXIO"},
      {EBADF, "EBADF"},
      {EAGAIN, "EAGAIN"},
      {ENOMEM, "ENOMEM"},
      {EACCES, "EACCES"},
      {EFAULT, "EFAULT"},
      {EBUSY, "EBUSY"},
      {EEXIST, "EEXIST"},
      {EXDEV, "EXDEV"},
      {ENODEV, "ENODEV"},
      {ENOTDIR, "ENOTDIR"},
      {EISDIR, "EISDIR"},
      {EINVAL, "EINVAL"},
      {ENFILE, "ENFILE"},
      {EMFILE, "EMFILE"},
      {ETXTBSY, "ETXTBSY"},
      {EFBIG, "EFBIG"},
      {ENOSPC, "ENOSPC"},
      {ESPIPE, "ESPIPE"},
      {EROFS, "EROFS"},
      {EMLINK, "EMLINK"},
      {EPIPE, "EPIPE"},
      {ENAMETOOLONG, "ENAMETOOLONG"},
      {ENOSYS, "ENOSYS"},
      {ELOOP, "ELOOP"},
      {ENOTEMPTY, "ENOTEMPTY"},
      {EOVERFLOW, "EOVERFLOW"},
      {EOPNOTSUPP, "EOPNOTSUPP"},
      {ETIMEDOUT, "ETIMEDOUT"},
      {ESTALE, "ESTALE"},
      {EDQUOT, "EDQUOT"},
      {ENOLCK, "ENOLCK"},
      {EDEADLK, "EDEADLK"},
      {EREMOTEIO, "EREMOTEIO"},
      {ENODATA, "ENODATA"},
      {EILSEQ, "EILSEQ"},
      {EUCLEAN, "EUCLEAN"},
      {ENOTCONN, "ENOTCONN"},
      {ECONNRESET, "ECONNRESET"},
      {EHOSTDOWN, "EHOSTDOWN"},
      {ENETDOWN, "ENETDOWN"},
      {ENOMEDIUM, "ENOMEDIUM"},
      {ECANCELED, "ECANCELED"},
      {EBADMSG, "EBADMSG"},
      {E2BIG, "E2BIG"},
      {ENOTTY, "ENOTTY"},
      {EKEYEXPIRED, "EKEYEXPIRED"},
  };
  for (const auto& entry : kNames) {
    if (entry.number == error_number) return entry.name;
  }
  return "E" + std::to_string(error_number);
}

}  // namespace holdfast
