"""What peers.py measures with: time, processor time, memory; and what makes a measurement honest: syncs, and an empty page cache."""

import ctypes
import gc
import mmap
import os
import resource
import time


class Refused(Exception):
    """A request that cannot be done, in words."""


class Meter:
    """Time, processor time and the most resident memory of what goes on inside."""

    def __enter__(self):
        gc.collect()
        self.has_peak = restart_peak()
        self.cpu = cpu_seconds()
        self.began = time.perf_counter()
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.began
        self.cpu = cpu_seconds() - self.cpu
        self.peak = peak_bytes() if self.has_peak else None

    def result(self):
        return {"ok": True, "seconds": self.seconds, "cpuSeconds": self.cpu, "maxRssBytes": self.peak}


def cpu_seconds():
    """Of all threads of this process, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def restart_peak():
    """Forgets the peak of resident memory so far; False where the kernel cannot."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return True
    except OSError:
        return False


def peak_bytes():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def files_in(path):
    return [os.path.join(directory, name) for directory, _, names in os.walk(path) for name in names]


def sync_all(path):
    """Makes every file below `path` durable, then the directories, the innermost first."""
    for file in files_in(path):
        sync(file)
    for directory, _, _ in os.walk(path, topdown=False):
        sync(directory)


def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_cache(path):
    """Drops the files below `path` from the page cache; gives the share of their pages that stayed, None where it cannot be told."""
    if not hasattr(os, "posix_fadvise"):
        raise Refused("This system cannot drop files from its cache, so a load would measure memory.")
    cached = total = 0
    for file in files_in(path):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            pages = cached_pages(descriptor)
        finally:
            os.close(descriptor)
        if pages is None:
            return None
        cached += sum(pages)
        total += len(pages)
    return cached / total if total else 0.0


def cached_pages(descriptor):
    """One value per page: 1 if it is in the page cache."""
    length = os.fstat(descriptor).st_size
    if length == 0:
        return b""
    mapping = mmap.mmap(descriptor, length, access=mmap.ACCESS_COPY)
    try:
        first = ctypes.c_char.from_buffer(mapping)
        pages = (ctypes.c_ubyte * -(-length // mmap.PAGESIZE))()
        failed = ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(length), pages)
        # The mapping cannot be closed while this refers to it.
        del first
        return None if failed else bytes(page & 1 for page in pages)
    finally:
        mapping.close()
