// Mutants of the C++ code. `ctest`: the core's own tests must notice; else the vitest files in `tests`.

const BYTES = ['test/engine/same-bytes.test.ts'];
const NATIVE_TESTS = [
  'test/native/addon.test.ts',
  'test/native/arena.test.ts',
  'test/native/streams.test.ts',
  'test/native/faults.test.ts',
  'test/native/lifetime.test.ts',
];

export const NATIVE = [
  {
    name: 'fsync of tensor files, native engine',
    file: 'native/core/operations.cc',
    find: 'return OrError(fsync(fd));',
    replace: 'return fd < 0;',
    tests: ['test/faults/protocol.test.ts'],
  },
  {
    name: 'the cut to length after the padded tail',
    file: 'native/core/operations.cc',
    find: 'return OrError(ftruncate(fd, static_cast<off_t>(bytes)));',
    replace: 'return fd < 0 && bytes > 0;',
    tests: BYTES,
  },
  {
    name: 'renaming replaces nothing, native engine',
    file: 'native/core/system_probe.cc',
    find: 'to.c_str(), RENAME_NOREPLACE) == 0',
    replace: 'to.c_str(), 0) == 0',
    tests: ['test/manager/names.test.ts'],
  },
  {
    name: 'checksums of pieces are combined',
    file: 'native/core/digest.cc',
    find: 'parts.back().crc = Crc32cCombine(parts.back().crc, segment_crc_, bytes);',
    replace: 'parts.back().crc = segment_crc_;',
    tests: BYTES,
  },
  {
    name: 'pinned memory is looked at again',
    file: 'native/binding/pins.cc',
    find: 'return Napi::Boolean::New(env, intact);',
    replace: 'return Napi::Boolean::New(env, intact || true);',
    tests: NATIVE_TESTS,
  },
  {
    name: 'no fsync after a failed write',
    file: 'native/core/file.cc',
    find: '  if (poisoned_.load(std::memory_order_acquire)) return poison();\n  // Not even EINTR',
    replace: '  // Not even EINTR',
    ctest: true,
  },
  {
    name: 'interrupted calls are made again',
    file: 'native/core/file.cc',
    find: 'if (result == -EINTR) return true;',
    replace: 'if (result == -EINTR) return false;',
    ctest: true,
  },
  {
    name: 'what a short write left over stays aligned',
    file: 'native/core/file.cc',
    find: 'if (done < bytes && direct()) done -= done % alignment_;',
    replace: '',
    ctest: true,
  },
  {
    name: 'copies to an arena come from inside their buffers',
    file: 'native/core/parallel_copy.cc',
    find: 'if (offset > memory.bytes || bytes > memory.bytes - offset) {',
    replace: 'if (offset > memory.bytes) {',
    ctest: true,
  },
  {
    name: 'copies to an arena stay inside it',
    file: 'native/core/parallel_copy.cc',
    find: 'if (offset > bytes || from.bytes > bytes - offset) {',
    replace: 'if (offset > bytes) {',
    ctest: true,
  },
  {
    name: 'a released arena waits for its readers',
    file: 'native/core/arena.cc',
    find: 'if (result != PinTable::UnpinResult::kDeferred) Free(handle);',
    replace: 'if (result != PinTable::UnpinResult::kUnknown) Free(handle);',
    ctest: true,
  },
  {
    name: 'an arena waits for its readers when its thread ends',
    file: 'native/binding/environment.cc',
    find: '  PinTable::Global().WaitUntilUnused(id_);\n',
    replace: '',
    tests: NATIVE_TESTS,
  },
  {
    name: 'an arena is of the thread that created it',
    file: 'native/core/arena.cc',
    find: 'if (found == entries_.end() || found->second.owner != owner) return false;\n  result->memory',
    replace: 'if (found == entries_.end()) return false;\n  result->memory',
    ctest: true,
  },
  {
    name: 'a released arena is not prefaulted any further',
    file: 'native/core/arena.cc',
    find: 'if (pin.revoked.load() || arena.released->load()) {',
    replace: 'if (pin.revoked.load()) {',
    ctest: true,
  },
  {
    name: 'an arena takes no copies of detached memory',
    file: 'native/binding/arenas.cc',
    find: 'if (detached) {',
    replace: 'if (detached && buffers.size() > values.size()) {',
    tests: NATIVE_TESTS,
  },
];
