// What one JavaScript environment (the main thread, or a worker) has going on in native code:
// promises to settle, background threads, and what must stop when it ends.
//
// Shared: background threads hold it, so it may outlive the JavaScript environment. After Close()
// nothing in it touches Node-API.
#ifndef HOLDFAST_BINDING_ENVIRONMENT_H_
#define HOLDFAST_BINDING_ENVIRONMENT_H_

#include <napi.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/status.h"

namespace holdfast {

// The end of an asynchronous call: an error, or a function that makes the value on the JavaScript
// thread (null: undefined).
struct Outcome {
  Status status;
  std::function<Napi::Value(Napi::Env)> value;
};

class Environment : public std::enable_shared_from_this<Environment> {
 public:
  static std::shared_ptr<Environment> Create(Napi::Env env);

  // Unique in the process; owners of handles are named by it.
  uint64_t id() const { return id_; }

  // JavaScript thread. A promise, and the ticket to settle it with.
  Napi::Promise Begin(Napi::Env env, uint64_t* ticket);
  // Any thread. Settles the promise; does nothing once the environment is closed.
  void Complete(uint64_t ticket, Outcome outcome);
  // Any thread. Runs `task` on the JavaScript thread, or never.
  void RunLater(std::function<void(Napi::Env)> task);
  // JavaScript thread. Runs `work` on a thread of its own and settles the promise with its outcome.
  // `stop` may be called from any thread while `work` runs, and should make it end soon.
  Napi::Promise Spawn(Napi::Env env, std::function<Outcome()> work, std::function<void()> stop);
  // Any thread. Runs `action` unless the environment is closed, and keeps it from closing
  // meanwhile.
  bool IfOpen(const std::function<void()>& action);

  // References that keep pinned memory alive, by handle; and those of memory that was unpinned
  // while native threads still used it. JavaScript thread.
  std::unordered_map<uint64_t, napi_ref> pin_references;
  std::unordered_map<uint64_t, napi_ref> leaving_references;

 private:
  struct Waiting {
    uint64_t ticket = 0;  // 0: a task
    Outcome outcome;
    std::function<void(Napi::Env)> task;
  };
  struct Running {
    std::function<void()> stop;
  };

  Environment();
  static void Drain(napi_env env, napi_value callback, void* context, void* data);
  static void Cleanup(void* argument);
  void Settle(Napi::Env env, Waiting* waiting);
  void Enqueue(Waiting waiting);
  void Close();

  const uint64_t id_;
  napi_env env_ = nullptr;
  // JavaScript thread only.
  std::unordered_map<uint64_t, napi_deferred> deferreds_;
  uint64_t next_ticket_ = 1;

  std::mutex mutex_;  // guards everything below
  napi_threadsafe_function wake_ = nullptr;
  bool closed_ = false;
  bool wake_sent_ = false;
  std::vector<Waiting> waiting_;
  std::map<uint64_t, Running> running_;
  std::condition_variable stopped_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BINDING_ENVIRONMENT_H_
