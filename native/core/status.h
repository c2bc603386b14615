// The result of an operation that can fail. The core never throws; it returns a Status.
//
// A Status is one pointer: null when all is well. Copies share the words, may be held for any time,
// and may be read from any thread.
#ifndef HOLDFAST_CORE_STATUS_H_
#define HOLDFAST_CORE_STATUS_H_

#include <memory>
#include <string>
#include <string_view>

namespace holdfast {

enum class Code {
  kOk,
  kSystem,  // the operating system failed: error_number, system_call and path tell how
  kInvalidArgument,
  kAborted,
  kSourceChanged,  // pinned memory went away while it was in use
  kDirectIo,       // direct I/O was required and is not possible here
  kTruncated,      // a file ends before the bytes that were asked for
};

class [[nodiscard]] Status {
 public:
  Status() = default;

  static Status Ok() { return Status(); }
  static Status InvalidArgument(std::string message);
  static Status Aborted();  // allocates nothing, nor does OutOfMemory
  static Status SourceChanged(std::string message);
  static Status DirectIo(std::string message, std::string path);
  static Status Truncated(std::string message, std::string path);
  // `error_number` is positive, as in errno.
  static Status System(int error_number, std::string_view system_call, std::string_view path);
  static Status OutOfMemory();

  bool ok() const { return details_ == nullptr; }
  Code code() const { return details_ ? details_->code : Code::kOk; }
  int error_number() const { return details_ ? details_->error_number : 0; }
  const std::string& system_call() const { return details().system_call; }
  const std::string& path() const { return details().path; }
  const std::string& message() const { return details().message; }
  // "ENOSPC", "ERR_ABORTED", …: what a caller matches on.
  std::string code_name() const;

 private:
  struct Details {
    Code code = Code::kOk;
    int error_number = 0;
    std::string system_call;
    std::string path;
    std::string message;
  };
  explicit Status(Details details);
  const Details& details() const;

  static const Status& aborted_;
  static const Status& out_of_memory_;

  std::shared_ptr<const Details> details_;
};

// "ENOSPC" for 28; "E28" for a number without a known name.
std::string ErrorName(int error_number);

}  // namespace holdfast

#define HOLDFAST_RETURN_IF_ERROR(expression)                     \
  do {                                                           \
    ::holdfast::Status status_of_expression = (expression);      \
    if (!status_of_expression.ok()) return status_of_expression; \
  } while (false)

#endif  // HOLDFAST_CORE_STATUS_H_
