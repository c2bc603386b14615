#!/usr/bin/env python3
"""A second opinion on holdfast checkpoints, written from docs/FORMAT.md alone (Python >= 3.9, standard library only).

Usage: verify.py PATH     a directory of checkpoints, one checkpoint, or a bare .safetensors file
Prints one JSON document. Exit code: 0 good, 1 problems found, 2 usage, no such path, or it cannot be read.
"""
import datetime
import json
import os
import re
import stat
import sys
import unicodedata

# ---- CRC32C ----
TABLE = list(range(256))
for _ in range(8):
    TABLE = [(c >> 1) ^ (0x82F63B78 if c & 1 else 0) for c in TABLE]


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def crc_of(file, offset, length):
    """The CRC of a range of an open file, as it is written in a manifest."""
    crc = 0
    file.seek(offset)
    while length > 0:
        data = file.read(min(length, 1 << 20))
        if not data:
            raise OSError("the file shrank while it was read")
        crc, length = crc32c(data, crc), length - len(data)
    return f"{crc:08x}"


# ---- strict JSON ----
class Violation(Exception):
    def __init__(self, code, message, **facts):
        super().__init__(message)
        self.code, self.message, self.facts = code, message, facts


class Number(str):
    """A JSON number as it is spelled: 1, 1.0, 1e0 and -0 are different things here."""


class Members(list):
    """A JSON object as the list of its members, so that duplicate keys can be seen."""


def refuse_constant(literal):
    raise ValueError(f"{literal} is not JSON")


DECODER = json.JSONDecoder(object_pairs_hook=Members, parse_int=Number, parse_float=Number, parse_constant=refuse_constant)


def parse(data, max_depth=None, surrogates=False):
    """Bytes to (value, first duplicate key or None); objects become dicts. ValueError if this is not JSON in UTF-8."""
    duplicate = None

    def convert(value, depth):
        nonlocal duplicate
        if isinstance(value, list):
            if max_depth is not None and depth > max_depth:
                raise ValueError(f"nested more than {max_depth} deep")
            if not isinstance(value, Members):
                return [convert(item, depth + 1) for item in value]
            result = {}
            for key, item in value:
                if key in result and duplicate is None:
                    duplicate = key
                result[convert(key, depth)] = convert(item, depth + 1)
            return result
        if type(value) is str and not surrogates and re.search("[\ud800-\udfff]", value):
            raise ValueError("a lone surrogate in a string")
        return value

    try:
        return convert(DECODER.decode(data.decode("utf-8")), 1), duplicate
    except RecursionError:
        raise ValueError("nested too deep") from None


MAX = 2**53 - 1
is_string = lambda v: type(v) is str  # noqa: E731 (a Number is not a string)
is_list = lambda v: type(v) is list  # noqa: E731
is_object = lambda v: type(v) is dict  # noqa: E731
is_number = lambda v: isinstance(v, Number) and abs(float(v)) != float("inf")  # noqa: E731
is_crc = lambda v: is_string(v) and re.fullmatch("[0-9a-f]{8}", v) is not None  # noqa: E731


def integer(value, least=0):
    """The value of an integer >= least, otherwise None."""
    if isinstance(value, Number) and re.fullmatch("0|[1-9][0-9]{0,15}", value) and least <= int(value) <= MAX:
        return int(value)
    return None


# ---- tensor files ----
BITS = {"F16": 16, "BF16": 16, "I16": 16, "U16": 16, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}
BITS.update(dict.fromkeys(("F64", "I64", "U64", "C64"), 64), F32=32, I32=32, U32=32)
BITS.update(dict.fromkeys("I8 U8 BOOL F8_E4M3 F8_E5M2 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ".split(), 8))


def tensor_bytes(entry):
    """The bytes of dtype and shape, or None if the shape breaks a rule."""
    elements, empty = 1, False
    for size in map(integer, entry["shape"]):
        if size is None:
            return None
        elements, empty = elements * (size or 1), empty or size == 0
    bits = elements * BITS[entry["dtype"]]
    if elements > MAX:
        return None
    if empty:
        return 0
    return bits // 8 if bits % 8 == 0 and bits // 8 <= MAX else None


def read_header(file, size):
    """Checks the reader's table rule by rule, in its order; returns name -> (offset in the file, bytes)."""

    def rule(code, holds, message, *names):
        if not holds:
            raise Violation(code, message, tensors=names)

    rule("ERR_TRUNCATED", size >= 8, f"{size} bytes cannot hold a header length")
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    rule("ERR_HEADER_LENGTH", length <= 100_000_000 and 8 + length <= size, f"header length {length} in a file of {size}")
    raw = file.read(length)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Violation("ERR_HEADER_ENCODING", str(error)) from None
    rule("ERR_HEADER_JSON", raw.startswith(b"{"), "the header does not begin with {")
    try:
        header, duplicate = parse(raw, max_depth=8)
    except ValueError as error:
        raise Violation("ERR_HEADER_JSON", str(error)) from None
    rule("ERR_HEADER_DUPLICATE", duplicate is None, f"duplicate key {duplicate!r}")
    metadata = header.pop("__metadata__", {})
    strings = is_object(metadata) and all(map(is_string, metadata.values()))
    rule("ERR_HEADER_METADATA", strings, "__metadata__ is not an object of strings")
    for name, entry in header.items():
        fields = is_object(entry) and set(entry) == {"dtype", "shape", "data_offsets"} and is_string(entry["dtype"])
        lists = fields and is_list(entry["shape"]) and is_list(entry["data_offsets"]) and len(entry["data_offsets"]) == 2
        rule("ERR_HEADER_FIELD", lists, f"{name!r} is not an entry of dtype, shape and data_offsets", name)
    for name, entry in header.items():
        rule("ERR_HEADER_DTYPE", entry["dtype"] in BITS, f"{name!r} has the unknown dtype {entry['dtype']!r}", name)
    lengths = {name: tensor_bytes(entry) for name, entry in header.items()}
    for name, bytes_ in lengths.items():
        rule("ERR_HEADER_SHAPE", bytes_ is not None, f"{name!r} has an impossible shape", name)
    spans = []
    for name, entry in header.items():
        begin, end = map(integer, entry["data_offsets"])
        good = begin is not None and end is not None and begin <= end and end - begin == lengths[name]
        rule("ERR_HEADER_OFFSETS", good, f"{name!r} has offsets that do not fit its {lengths[name]} bytes", name)
        spans.append((begin, end, name))
    position = 0
    for begin, end, name in sorted(spans):
        rule("ERR_HEADER_OFFSETS", begin == position, f"{name!r} begins at {begin}, not at {position}", name)
        position = end
    end = 8 + length + position
    rule("ERR_TRUNCATED", size >= end, f"the file has {size} bytes, its header describes {end}")
    rule("ERR_EXTENDED", size <= end, f"the file has {size} bytes, its header describes {end}")
    return {name: (8 + length + begin, end - begin) for begin, end, name in spans}


# ---- manifest.json ----
def read_manifest(raw):
    """Returns a valid manifest with its integers as int, or raises a Violation."""

    def need(holds, message):
        if not holds:
            raise Violation("ERR_MANIFEST", message)

    def number(owner, key, least=0):
        value = integer(owner.get(key), least)
        need(value is not None, f"{key} is not an integer >= {least}")
        owner[key] = value
        return value

    body, seal = raw[:-22], re.fullmatch(rb',"crc32c":"([0-9a-f]{8})"}\n', raw[-22:])
    need(seal, "the seal is absent")
    need(seal[1].decode() == f"{crc32c(body):08x}", "the seal is wrong")
    try:
        manifest, duplicate = parse(body + b"}", max_depth=16)
    except ValueError as error:
        raise Violation("ERR_MANIFEST", str(error)) from None
    need(is_object(manifest), "not an object")
    need(duplicate is None, f"duplicate key {duplicate!r}")
    need(manifest.get("format") == "holdfast", "format is not holdfast")
    if number(manifest, "version") != 1:
        raise Violation("ERR_UNSUPPORTED_VERSION", f"version {manifest['version']}")
    need(is_string(manifest.get("runId")), "runId is not a string")
    try:
        datetime.datetime.strptime(manifest.get("createdAt"), "%Y-%m-%dT%H:%M:%S.%fZ")
        need(len(manifest["createdAt"]) == 24, "createdAt is not a date")
    except (TypeError, ValueError):
        raise Violation("ERR_MANIFEST", "createdAt is not a date") from None
    number(manifest, "sequence", 1)
    number(manifest, "step")
    if "epoch" in manifest:
        number(manifest, "epoch")
    need(manifest.get("contents") in ("full", "weights"), "contents is neither full nor weights")
    need(is_object(manifest.get("metrics")), "metrics is not an object")
    for value in manifest["metrics"].values():
        need(is_number(value) or value in ("NaN", "Infinity", "-Infinity", "-0"), "a metric is not a number")
    monitor = manifest.get("monitor", {"metric": "", "mode": "min"})
    need(is_object(monitor) and is_string(monitor.get("metric")) and monitor.get("mode") in ("min", "max"), "bad monitor")
    for key in {"minDelta", "threshold"} & set(monitor):
        need(is_number(monitor[key]), f"monitor.{key} is not a number")
    need(float(monitor.get("minDelta", 0)) >= 0, "monitor.minDelta is less than 0")
    need(type(monitor.get("improved", False)) is bool, "monitor.improved is neither true nor false")
    software = manifest.get("software")
    need(is_object(software) and all(map(is_string, software.values())), "software is not an object of strings")
    need(is_list(manifest.get("files")) and all(map(is_object, manifest["files"])), "files is not a list of objects")
    for entry in manifest["files"]:
        name = entry.get("name")
        need(is_string(name) and name and name[0] != "." and name != "manifest.json", f"bad file name {name!r}")
        need(not any(c in "/\\" or unicodedata.category(c) == "Cc" for c in name), f"bad file name {name!r}")
        need(len(name.encode()) <= 255, f"file name {name!r} is too long")
        need(entry.get("role") in ("model", "optimizer", "index", "state", "attachment"), f"{name}: bad role")
        size, chunk = number(entry, "bytes"), number(entry, "chunkBytes", 1)
        need(is_crc(entry.get("crc32c")), f"{name}: bad crc32c")
        need(chunk <= 67108864, f"{name}: chunkBytes is too large")
        need(is_list(entry.get("chunks")) and all(map(is_crc, entry["chunks"])), f"{name}: bad chunks")
        need(len(entry["chunks"]) == -(-size // chunk), f"{name}: {len(entry['chunks'])} chunks")
        if entry["role"] not in ("model", "optimizer"):
            entry["tensors"] = []
        need(is_list(entry.get("tensors")) and all(map(is_object, entry["tensors"])), f"{name}: bad tensors")
        position = None
        for tensor in entry["tensors"]:
            need(is_string(tensor.get("name")) and is_crc(tensor.get("crc32c")), f"{name}: bad tensor")
            offset, length = number(tensor, "offset"), number(tensor, "bytes")
            need(position in (None, offset), f"{name}: tensor {tensor['name']!r} does not begin at {position}")
            position = offset + length
        need(position in (None, size), f"{name}: the tensors end at {position}, not at {size}")
    need(len({entry["name"] for entry in manifest["files"]}) == len(manifest["files"]), "file names are not unique")
    need(sum(entry["role"] == "state" for entry in manifest["files"]) <= 1, "there is more than one state file")
    listed = [(entry["role"], tensor["name"]) for entry in manifest["files"] for tensor in entry["tensors"]]
    need(len(set(listed)) == len(listed), "a tensor is listed twice")
    return manifest


def check_state(file, size):
    file.seek(0)
    try:
        state, _ = parse(file.read(size), surrogates=True)
    except ValueError as error:
        raise Violation("ERR_STATE", str(error)) from None
    good = is_object(state) and state.get("format") == "holdfast-state" and is_object(state.get("extensions"))
    if not good or integer(state.get("version")) != 1:
        raise Violation("ERR_STATE", "not an object of format holdfast-state, version 1")
    if not is_object(state.get("run", {})):
        raise Violation("ERR_STATE", "run is not an object")


# ---- verification ----
class Report:
    def __init__(self):
        self.checksummed, self.problems = True, []
        self.checked = {"checkpoints": 0, "files": 0, "tensors": 0, "bytes": 0}

    def count(self, **numbers):
        for key, number in numbers.items():
            self.checked[key] += number

    def problem(self, code, message, checkpoint=None, file=None, offset=None, bytes=None, tensors=(), expected=None, actual=None):
        self.problems.append({"code": code, "checkpoint": checkpoint, "file": file, "offset": offset, "bytes": bytes,
                              "tensors": list(tensors), "expected": expected, "actual": actual, "message": message})

    def document(self):
        return {"ok": not self.problems, "checksummed": self.checksummed, "checked": self.checked, "problems": self.problems}


def regular_size(path):
    """The size of a regular file; None if there is nothing, or something else (a symbolic link, say)."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def check_contents(file, entry):
    """Rules 3 to 5 of the verification, for one file of the right size: yields (code, message, facts)."""
    size, chunk, tensors, differs = entry["bytes"], entry["chunkBytes"], entry["tensors"], False
    own = [crc_of(file, tensor["offset"], tensor["bytes"]) for tensor in tensors]
    wrong = [tensor for tensor, crc in zip(tensors, own) if crc != tensor["crc32c"]]
    for index, expected in enumerate(entry["chunks"]):
        begin, end = index * chunk, min((index + 1) * chunk, size)
        actual = crc_of(file, begin, end - begin)
        if actual != expected:
            hit = [t["name"] for t in wrong if max(begin, t["offset"]) < min(end, t["offset"] + t["bytes"])]
            differs = True
            yield "ERR_CHECKSUM", "a chunk differs", dict(offset=begin, bytes=end - begin, tensors=hit, expected=expected, actual=actual)
    if differs:
        return
    actual = crc_of(file, 0, size)
    if actual != entry["crc32c"]:
        yield "ERR_CHECKSUM", "the whole file differs", dict(offset=0, bytes=size, expected=entry["crc32c"], actual=actual)
    for tensor, crc in zip(tensors, own):
        if crc != tensor["crc32c"]:
            facts = dict(offset=tensor["offset"], bytes=tensor["bytes"], tensors=[tensor["name"]])
            yield "ERR_CHECKSUM", "a tensor differs", dict(facts, expected=tensor["crc32c"], actual=crc)
    if wrong or actual != entry["crc32c"]:
        return
    try:
        if entry["role"] in ("model", "optimizer"):
            header = sorted((name, *place) for name, place in read_header(file, size).items())
            listed = sorted((t["name"], t["offset"], t["bytes"]) for t in tensors)
            if header != listed:
                odd = sorted({row[0] for row in set(header) ^ set(listed)})
                raise Violation("ERR_HEADER_MISMATCH", "header and manifest list different tensors", tensors=odd)
        elif entry["role"] == "state":
            check_state(file, size)
    except Violation as error:
        yield error.code, error.message, error.facts


def check_checkpoint(directory, report):
    name = os.path.basename(os.path.realpath(directory))
    path = os.path.join(directory, "manifest.json")
    report.count(checkpoints=1)
    if regular_size(path) is None:
        code = "ERR_MANIFEST" if os.path.lexists(path) else "ERR_MISSING_MANIFEST"
        return report.problem(code, "there is no regular file", name, "manifest.json")
    try:
        with open(path, "rb") as file:
            manifest = read_manifest(file.read())
    except Violation as error:
        return report.problem(error.code, error.message, name, "manifest.json")
    for entry in manifest["files"]:
        path = os.path.join(directory, entry["name"])
        size, expected = regular_size(path), entry["bytes"]
        if size is None:
            report.problem("ERR_MISSING_FILE", "not there or not a regular file", name, entry["name"])
        elif size != expected:
            code = "ERR_TRUNCATED" if size < expected else "ERR_EXTENDED"
            beyond = [tensor["name"] for tensor in entry["tensors"] if tensor["offset"] + tensor["bytes"] > size]
            facts = dict(offset=min(size, expected), expected=str(expected), actual=str(size), tensors=beyond)
            report.problem(code, f"{size} bytes, not {expected}", name, entry["name"], **facts)
        else:
            report.count(files=1, tensors=len(entry["tensors"]), bytes=size)
            with open(path, "rb") as file:
                for code, message, facts in check_contents(file, entry):
                    report.problem(code, message, name, entry["name"], **facts)


def is_checkpoint(directory):
    if os.path.basename(directory) in ("lost+found", "System Volume Information"):
        return False
    return any(entry.name == "manifest.json" or (entry.name.endswith(".safetensors") and entry.name[0] != "."
               and not entry.is_dir(follow_symlinks=False)) for entry in os.scandir(directory))


def is_one_checkpoint(directory):
    inner = any(e.is_dir(follow_symlinks=False) and e.name[0] != "." and is_checkpoint(e.path) for e in os.scandir(directory))
    return is_checkpoint(directory) and (os.path.isfile(os.path.join(directory, "manifest.json")) or not inner)


def verify(path):
    """The report on a path, as a dict."""
    report = Report()
    if not os.path.isdir(path):
        report.checksummed, size = False, os.path.getsize(path)
        try:
            with open(path, "rb") as file:
                report.count(files=1, bytes=size, tensors=len(read_header(file, size)))
        except Violation as error:
            report.problem(error.code, error.message, None, os.path.basename(path), **error.facts)
    elif is_one_checkpoint(path):
        check_checkpoint(path, report)
    else:
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False) and is_checkpoint(entry.path):
                check_checkpoint(entry.path, report)
    return report.document()


def main(arguments):
    if len(arguments) != 1 or not (os.path.isdir(arguments[0]) or os.path.isfile(arguments[0])):
        print(f"{__doc__.strip()}\nThe path must be a directory or a file that exists.", file=sys.stderr)
        return 2
    try:
        document = verify(arguments[0])
    except OSError as error:  # no permission, an I/O error: neither good nor damaged, so no judgement
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 2
    print(json.dumps(document, indent=2))
    return 0 if document["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
