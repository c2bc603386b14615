// Memory of the library's own that snapshots are copied into, by handle.
//
// An arena is pinned memory (see pin_table.h) whose owner is the library itself: its handle works
// wherever a pin's does. It is let go when its handle is released and no native thread uses it any
// more, or when its environment ends, after the last user is gone.
#ifndef HOLDFAST_CORE_ARENA_H_
#define HOLDFAST_CORE_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "core/abort.h"
#include "core/aligned_memory.h"
#include "core/pin_table.h"
#include "core/status.h"

namespace holdfast {

// A user's hold on an arena.
struct ArenaLease {
  PinLease memory;
  std::shared_ptr<const AbortFlag> released;  // its handle is gone: do nothing more for its sake
};

// Thread-safe.
class ArenaTable {
 public:
  explicit ArenaTable(PinTable* pins) : pins_(pins) {}

  // Memory that no page of has been touched.
  Status Create(uint64_t owner, uint64_t bytes, uint64_t* handle);
  // False if `handle` is not an arena of `owner`.
  bool Find(uint64_t handle, uint64_t owner, ArenaLease* result);
  bool Release(uint64_t handle, uint64_t owner);
  // Lets all memory of an environment go. Only after PinTable::WaitUntilUnused.
  void CloseOwner(uint64_t owner);
  // Arenas whose memory is still there, released ones included.
  size_t size() const;

  static ArenaTable& Global();

 private:
  struct Entry {
    uint64_t owner;
    AlignedMemory memory;
    std::shared_ptr<AbortFlag> released;
  };
  void Free(uint64_t handle);

  PinTable* const pins_;
  mutable std::mutex mutex_;
  // Released arenas stay until their last user is gone: the callback that then frees them may never
  // come, where the owner ends first.
  std::unordered_map<uint64_t, Entry> entries_;
};

// Faults every page in, by several threads; what the memory holds stays as it is. Ends early with
// an abort once the arena is released or its owner ends.
Status Prefault(const ArenaLease& arena);

}  // namespace holdfast

#endif  // HOLDFAST_CORE_ARENA_H_
