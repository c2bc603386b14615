#include "binding/environment.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "binding/errors.h"
#include "binding/handles.h"
#include "core/abort.h"
#include "core/arena.h"
#include "core/counters.h"
#include "core/pin_table.h"
#include "core/staging_pool.h"
#include "core/thread_engine.h"

namespace holdfast {

namespace {

// How long the end of an environment waits for threads that touch no memory of it (an fsync, say).
// They hold only memory of their own, so leaving them behind is safe; waiting is a courtesy that
// keeps files from being written after terminate() returned.
constexpr auto kCourtesy = std::chrono::milliseconds(500);

uint64_t NextId() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1);
}

std::atomic<int> open_environments{0};

}  // namespace

Environment::Environment() : id_(NextId()) {}

std::shared_ptr<Environment> Environment::Create(Napi::Env env) {
  std::shared_ptr<Environment> environment(new Environment);
  environment->env_ = env;
  const napi_value name = Napi::String::New(env, "holdfast");
  napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                      environment.get(), Drain, &environment->wake_);
  // Waiting promises keep the process alive, the addon alone does not.
  if (status == napi_ok) status = napi_unref_threadsafe_function(env, environment->wake_);
  if (status == napi_ok) {
    // Hooks run last in, first out: this one before the thread-safe function's own.
    auto* holder = new std::shared_ptr<Environment>(environment);
    status = napi_add_env_cleanup_hook(env, Cleanup, holder);
    if (status != napi_ok) delete holder;
  }
  if (status != napi_ok) throw Napi::Error::New(env, "holdfast could not be initialised");
  ++open_environments;
  return environment;
}

Napi::Promise Environment::Begin(Napi::Env env, uint64_t* ticket) {
  napi_deferred deferred;
  napi_value promise;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) throw Napi::Error::New(env);
  *ticket = next_ticket_++;
  deferreds_.emplace(*ticket, deferred);
  if (deferreds_.size() == 1) (void)napi_ref_threadsafe_function(env, wake_);
  return Napi::Promise(env, promise);
}

void Environment::Complete(uint64_t ticket, Outcome outcome) {
  Enqueue({ticket, std::move(outcome), nullptr});
}

void Environment::RunLater(std::function<void(Napi::Env)> task) {
  Enqueue({0, {}, std::move(task)});
}

void Environment::Enqueue(Waiting waiting) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return;
  waiting_.push_back(std::move(waiting));
  if (wake_sent_) return;
  wake_sent_ = napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

void Environment::Drain(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;  // the environment is ending
  // Kept alive by the cleanup hook, which can't run during this call.
  auto* self = static_cast<Environment*>(context);
  std::vector<Waiting> waiting;
  {
    const std::lock_guard<std::mutex> lock(self->mutex_);
    waiting.swap(self->waiting_);
    self->wake_sent_ = false;
  }
  for (Waiting& entry : waiting) {
    try {
      const Napi::HandleScope scope(env);
      self->Settle(env, &entry);
    } catch (const Napi::Error&) {
      // JavaScript can't run any more (a worker that is being terminated): nobody is left to tell.
    }
  }
}

void Environment::Settle(Napi::Env env, Waiting* waiting) {
  if (waiting->ticket == 0) {
    waiting->task(env);
    return;
  }
  const auto found = deferreds_.find(waiting->ticket);
  if (found == deferreds_.end()) return;
  const napi_deferred deferred = found->second;
  deferreds_.erase(found);
  if (deferreds_.empty()) (void)napi_unref_threadsafe_function(env, wake_);
  if (!waiting->outcome.status.ok()) {
    (void)napi_reject_deferred(env, deferred, ToError(env, waiting->outcome.status).Value());
    return;
  }
  try {
    const Napi::Value value =
        waiting->outcome.value ? waiting->outcome.value(env) : env.Undefined();
    (void)napi_resolve_deferred(env, deferred, value);
  } catch (const Napi::Error& error) {
    // The runtime refused to make the value: whoever waits must hear of it.
    (void)napi_reject_deferred(env, deferred, error.Value());
  }
}

Napi::Promise Environment::Spawn(Napi::Env env, std::function<Outcome()> work,
                                 std::function<void()> stop) {
  uint64_t ticket;
  const Napi::Promise promise = Begin(env, &ticket);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    running_.emplace(ticket, Running{std::move(stop)});
  }
  ++counters().threads;
  auto body = [self = shared_from_this(), ticket, work = std::move(work)]() mutable {
    Outcome outcome;
    try {
      outcome = work();
    } catch (const std::bad_alloc&) {
      outcome.status = Status::OutOfMemory();
    }
    work = nullptr;  // what it holds must be gone before anyone hears of the outcome
    Running ended;
    {
      const std::lock_guard<std::mutex> lock(self->mutex_);
      const auto found = self->running_.find(ticket);
      ended = std::move(found->second);
      self->running_.erase(found);
      self->stopped_.notify_all();
    }
    ended.stop = nullptr;
    --counters().threads;
    self->Complete(ticket, std::move(outcome));
  };
  std::thread thread;
  const Status status = StartThread(std::move(body), &thread);
  if (status.ok()) {
    thread.detach();
  } else {
    --counters().threads;
    const std::lock_guard<std::mutex> lock(mutex_);
    running_.erase(ticket);
  }
  if (!status.ok()) Complete(ticket, {status, nullptr});
  return promise;
}

bool Environment::IfOpen(const std::function<void()>& action) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return false;
  action();
  return true;
}

void Environment::Cleanup(void* argument) {
  auto* holder = static_cast<std::shared_ptr<Environment>*>(argument);
  (*holder)->Close();
  delete holder;
}

// Order matters: nothing new may start, then everything is told to stop, then the memory must be
// unused, and only then is there time for the rest.
void Environment::Close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    waiting_.clear();
  }
  AbortTable::Global().ReleaseOwner(id_);
  PinTable::Global().Revoke(id_);
  std::vector<std::function<void()>> stops;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [ticket, running] : running_) {
      if (running.stop) stops.push_back(running.stop);
    }
  }
  // Without the lock: to stop a writer ends its calls, and those report to this object.
  for (const auto& stop : stops) stop();
  stops.clear();
  Handles::Global().CloseOwner(id_);
  PinTable::Global().WaitUntilUnused(id_);
  ArenaTable::Global().CloseOwner(id_);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    stopped_.wait_for(lock, kCourtesy, [&] { return running_.empty(); });
  }
  // Workers end when they have had nothing to do for a while: a good time to look.
  if (--open_environments == 0) {
    StagingPool::Global().Clear();
  } else {
    StagingPool::Global().Trim();
  }
  (void)napi_release_threadsafe_function(wake_, napi_tsfn_abort);
  // Node-API forgets these, but does not free them. A deferred that is never settled leaves its
  // eight bytes behind: nothing can free it where JavaScript can't run any more.
  for (auto* references : {&pin_references, &leaving_references}) {
    for (const auto& [handle, reference] : *references)
      (void)napi_delete_reference(env_, reference);
    references->clear();
  }
}

}  // namespace holdfast
