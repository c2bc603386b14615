#!/usr/bin/env python3
"""The checkpoint libraries of Python, as peers of `holdfast bench`.

One JSON document per line on stdin, one per line on stdout, and nothing else there: what libraries print goes to stderr.
On start it says what is installed. Then it answers requests, one at a time:

  {"do": "make", "tensors": [{"name": "a", "shape": [3, 4]}], "seed": 1}
  {"do": "save", "peer": "safetensors", "path": "an empty directory"}
  {"do": "load", "peer": "safetensors", "path": "where it was saved"}
  {"do": "quit"}

Times are in seconds, memory in bytes. A request that fails is answered with {"ok": false, "error": "one line"}.
The end of stdin ends the process at once, whatever is going on: nobody is left to hear the answer.
Only the standard library is needed; every peer is left out, with the reason, where its library is not there.
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import platform
import queue
import signal
import sys
import threading
import time
import warnings

# Beside this file. Nothing is to be left there.
sys.dont_write_bytecode = True
from holdfast_meter import Meter, Refused, drop_cache, sync_all  # noqa: E402

PAGE_BYTES = 4096
FLOAT32_BYTES = 4
CHECKED_TENSORS = 1000

# What a reader must know to judge a figure.
NOTES = {
    "save": {
        "torch.save": "one file, then fsync",
        "torch-dcp": "FileSystemWriter as it comes (sync_files, one thread)",
        "torch-dcp-async": "async_save, its default stager and one thread",
        "safetensors": "save_file, then fsync",
    },
    "load": {
        "torch.save": "torch.load into new memory (weights_only, no mmap)",
        "torch-dcp": "into tensors that are there already",
        "safetensors": "load_file into new memory, every page touched",
    },
}


def main():
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Ctrl-C reaches every process of a terminal. It is the parent who decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")

    def answer(document):
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    requests = read_requests()
    libraries = Libraries()
    answer(libraries.describe())
    bench = Bench(libraries)
    try:
        while True:
            line = requests.get()
            try:
                request = json.loads(line)
                if request["do"] == "quit":
                    break
                answer(bench.handle(request))
            except BrokenPipeError:
                raise
            except Exception as error:
                answer({"ok": False, "error": one_line(error)})
    except BrokenPipeError:
        pass
    # Not sys.exit: threads and process groups of libraries have nothing left to say.
    os._exit(0)


def read_requests():
    """Reads stdin on a thread of its own, so that its end is noticed in the middle of a save, too."""
    requests = queue.Queue()

    def read():
        for line in sys.stdin:
            if line.strip():
                requests.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return requests


def one_line(error):
    """What went wrong, without a traceback."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, KeyError):
        return f"The request has no {error}."
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:400]}" if text else type(error).__name__


class Libraries:
    """What is installed. Imports what has to be imported to know that it works."""

    def __init__(self):
        self.why = {}
        self.numpy = self.find("numpy", "pip install numpy")
        self.torch = self.find("torch", "pip install torch (--index-url https://download.pytorch.org/whl/cpu without a GPU)")
        self.safetensors = self.find("safetensors", "pip install safetensors")
        self.dcp = self.find("torch.distributed.checkpoint", "pip install torch of version 2.2 or later") if self.torch else None

    def find(self, name, how):
        """The module, or None and in `why` the reason."""
        try:
            missing = importlib.util.find_spec(name) is None
        except (ImportError, ValueError):
            missing = True
        if missing:
            self.why[name] = f"the Python package {name} is not installed: {how}"
            return None
        try:
            return importlib.import_module(name)
        except Exception as error:
            self.why[name] = f"the Python package {name} is installed and cannot be loaded ({one_line(error)}): {how}"
            return None

    def version(self, module):
        return None if module is None else str(getattr(module, "__version__", "unknown"))

    def describe(self):
        return {
            "ready": True,
            "versions": {
                "python": platform.python_version(),
                "numpy": self.version(self.numpy),
                "torch": self.version(self.torch),
                "safetensors": self.version(self.safetensors),
            },
            "peers": {
                "torch.save": self.why.get("torch"),
                "torch-dcp": self.without_dcp("save"),
                "torch-dcp-async": self.without_dcp("async_save"),
                "safetensors": self.why.get("safetensors") or self.without_arrays(),
            },
            "notes": NOTES,
        }

    def without_dcp(self, function):
        if not self.torch:
            return self.why["torch"]
        if not self.dcp:
            return self.why["torch.distributed.checkpoint"]
        if not self.torch.distributed.is_available():
            return "this build of torch has no torch.distributed: install one that has"
        if not hasattr(self.dcp, function):
            return f"torch {self.version(self.torch)} has no torch.distributed.checkpoint.{function}: pip install --upgrade torch"
        return None

    def without_arrays(self):
        return None if self.torch or self.numpy else "neither torch nor numpy is installed, and one has to hold the tensors: pip install numpy"


class Bench:
    """Holds the tensors, and does what requests ask for."""

    def __init__(self, libraries):
        self.libraries = libraries
        # By name: torch tensors where torch is installed, else numpy arrays.
        self.tensors = {}

    def handle(self, request):
        do = request["do"]
        if do == "make":
            self.make(request["tensors"], request["seed"])
            return {"ok": True}
        if do not in ("save", "load"):
            raise Refused(f"There is no request {do!r}.")
        peer = self.peer(request["peer"])
        path = request["path"]
        if not os.path.isdir(path):
            raise Refused("The path is not a directory.")
        return self.save(peer, path) if do == "save" else self.load(peer, path)

    def peer(self, name):
        peers = self.libraries.describe()["peers"]
        if name not in peers:
            raise Refused(f"There is no peer {name!r}.")
        if peers[name] is not None:
            raise Refused(peers[name])
        return PEERS[name](self.libraries)

    def make(self, shapes, seed):
        """Random bits as float32: what no disk can compress."""
        self.tensors = {}
        gc.collect()
        numpy, torch = self.libraries.numpy, self.libraries.torch
        if numpy:
            random = numpy.random.default_rng(seed)
            for tensor in shapes:
                # asarray: of a scalar shape it gives no array.
                bits = numpy.asarray(random.integers(0, 2**32, size=tensor["shape"], dtype=numpy.uint32))
                values = bits.view(numpy.float32)
                # torch and numpy see the same memory.
                self.tensors[tensor["name"]] = torch.from_numpy(values) if torch else values
        elif torch:
            torch.manual_seed(seed)
            for tensor in shapes:
                bits = torch.empty(tensor["shape"], dtype=torch.int32).random_(-(2**31), 2**31 - 1)
                self.tensors[tensor["name"]] = bits.view(torch.float32)
        else:
            raise Refused("neither torch nor numpy is installed")

    def save(self, peer, path):
        if not self.tensors:
            raise Refused("There are no tensors yet: send make first.")
        if os.listdir(path):
            raise Refused("The directory is not empty.")
        with peer.group():
            with Meter() as meter:
                stall = peer.save(self.tensors, path)
                sync_all(path)
        return {**meter.result(), "stallSeconds": stall}

    def load(self, peer, path):
        cached = drop_cache(path)
        with peer.group():
            target = peer.prepare(path)
            with Meter() as meter:
                loaded = peer.load(path, target)
                touch(loaded)
        self.check(loaded)
        return {**meter.result(), "stallSeconds": None, "cachedShare": cached}

    def check(self, loaded):
        """Compares both ends of tensors with what was made, if that is what was saved."""
        names = list(self.tensors)[:CHECKED_TENSORS]
        if loaded.keys() != self.tensors.keys():
            if self.tensors:
                raise Refused("What was loaded does not have the names that were saved.")
            return
        for name in names:
            ours, theirs = bits_of(self.tensors[name]), bits_of(loaded[name])
            if len(ours) != len(theirs) or (len(ours) and (int(ours[0]) != int(theirs[0]) or int(ours[-1]) != int(theirs[-1]))):
                raise Refused(f"What was loaded for {name} is not what was saved.")


def flat(tensor):
    return tensor.reshape(-1)


def bits_of(tensor):
    """Its elements as integers: many are NaN, which equals nothing."""
    if type(tensor).__module__ == "numpy":
        return flat(tensor).view("int32")
    return flat(tensor).view(importlib.import_module("torch").int32)


def touch(tensors):
    """Reads one element of every page: what is mapped is in memory only then."""
    step = PAGE_BYTES // FLOAT32_BYTES
    for tensor in tensors.values():
        flat(tensor)[::step].sum()


class Peer:
    def __init__(self, libraries):
        self.libraries = libraries

    @contextlib.contextmanager
    def group(self):
        """What has to be there around a request, not counted."""
        yield

    def prepare(self, path):
        """Makes ready what a load reads into, not counted."""
        return None


class TorchSave(Peer):
    def save(self, tensors, path):
        self.libraries.torch.save(tensors, os.path.join(path, "model.pt"))

    def load(self, path, target):
        return self.libraries.torch.load(os.path.join(path, "model.pt"), weights_only=True, mmap=False, map_location="cpu")


class Safetensors(Peer):
    def library(self):
        return importlib.import_module("safetensors.torch" if self.libraries.torch else "safetensors.numpy")

    def prepare(self, path):
        # Its import is not counted.
        self.library()

    @contextlib.contextmanager
    def group(self):
        self.library()
        yield

    def save(self, tensors, path):
        self.library().save_file(tensors, os.path.join(path, "model.safetensors"))

    def load(self, path, target):
        return self.library().load_file(os.path.join(path, "model.safetensors"))


class TorchDcp(Peer):
    def save(self, tensors, path):
        self.libraries.dcp.save(tensors, storage_writer=self.writer(path))

    def writer(self, path):
        # Its defaults, but never without fsync.
        return self.libraries.dcp.FileSystemWriter(path, sync_files=True)

    def prepare(self, path):
        """Tensors to load into, as a training run has them: memory that is there already."""
        torch, dcp = self.libraries.torch, self.libraries.dcp
        metadata = dcp.FileSystemReader(path).read_metadata()
        return {
            name: torch.ones(tensor.size, dtype=tensor.properties.dtype) for name, tensor in metadata.state_dict_metadata.items()
        }

    def load(self, path, target):
        self.libraries.dcp.load(target, storage_reader=self.libraries.dcp.FileSystemReader(path))
        return target


class TorchDcpAsync(TorchDcp):
    @contextlib.contextmanager
    def group(self):
        """async_save wants a process group with a CPU backend, of one process here."""
        distributed = self.libraries.torch.distributed
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def save(self, tensors, path):
        began = time.perf_counter()
        saving = self.libraries.dcp.async_save(tensors, storage_writer=self.writer(path))
        stall = time.perf_counter() - began
        # Later versions give two futures: one for the copies, one for the files.
        getattr(saving, "upload_completion", saving).result()
        return stall


PEERS = {"torch.save": TorchSave, "torch-dcp": TorchDcp, "torch-dcp-async": TorchDcpAsync, "safetensors": Safetensors}


if __name__ == "__main__":
    main()
