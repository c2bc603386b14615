#!/usr/bin/env python3
"""Writes the conformance corpus, built straight from docs/FORMAT.md with a writer of its own.

Usage: make_corpus.py OUT            writes OUT/good, OUT/damaged, OUT/expected.json (replacing them)
       make_corpus.py --check OUT    compares OUT with what would be written; exit code 1 if it differs

The judgement of each case is written down here, where the damage is made, from what the specification says about it;
no verifier is asked. In expected.json a problem has `code`, `checkpoint` and `file`, and `offset`, `bytes` and
`tensors` as far as the specification determines them: a member that is left out may have any value.
"""
import json
import os
import shutil
import struct
import sys
import tempfile
import zlib  # adler32 only, as a cheap source of deterministic bytes

CRC_TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
    CRC_TABLE.append(n)


def crc(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = CRC_TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return f"{value ^ 0xFFFFFFFF:08x}"


assert crc(b"123456789") == "e3069283"


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def noise(label, length):
    """Deterministic bytes without a pattern."""
    state, out = zlib.adler32(label.encode("utf-8")) | 1, bytearray()
    while len(out) < length:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out += struct.pack("<I", state >> 32)
    return bytes(out[:length])


# ---- tensor files ----
BITS = {"F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
        "I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
        "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}


def length_of(dtype, shape):
    bits = BITS[dtype]
    for size in shape:
        bits *= size
    assert bits % 8 == 0
    return bits // 8


def writer_order(tensors):
    return sorted(tensors, key=lambda t: (-BITS[t[1]], t[0].encode("utf-8")))


class TensorFile:
    """A tensor file from (name, dtype, shape) triples: .data, and .tensors as (name, offset in the file, bytes)."""

    def __init__(self, tensors, padded=False, metadata=None, label=""):
        header, body, begin = {"__metadata__": metadata or {"format": "pt"}}, b"", 0
        for name, dtype, shape in writer_order(tensors):
            end = begin + length_of(dtype, shape)
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
            body += b"\1" * (end - begin) if dtype == "BOOL" else noise(label + name, end - begin)
            begin = end
        text = compact(header).encode("utf-8")
        if padded:
            text += b" " * (-(8 + len(text)) % 4096)
        self.data = struct.pack("<Q", len(text)) + text + body
        base = 8 + len(text)
        self.tensors = [(n, base + e["data_offsets"][0], e["data_offsets"][1] - e["data_offsets"][0])
                        for n, e in header.items() if n != "__metadata__"]


def bare(header, body=b"", length=None):
    """A tensor file with exactly this header text."""
    raw = header if isinstance(header, bytes) else header.encode("utf-8")
    return struct.pack("<Q", len(raw) if length is None else length) + raw + body


# ---- checkpoints ----
class Link(str):
    """A symbolic link to this target, in a tree of files."""


def replace_once(text, old, new):
    assert text.count(old) == 1, (old, text.count(old))
    return text.replace(old, new)


def sealed(body):
    """body: the manifest up to, not including, the comma of the seal."""
    return body + b',"crc32c":"' + crc(body).encode() + b'"}\n'


class Checkpoint:
    def __init__(self, sequence=1, step=100, padded=False, **members):
        self.padded, self.data = padded, {}
        self.manifest = {"format": "holdfast", "version": 1, "runId": "run-0f3a", "sequence": sequence, "contents": "full",
                         "step": step, "epoch": 1, "metrics": {"val_loss": 0.25}, "monitor": {"metric": "val_loss", "mode": "min"},
                         "createdAt": "2025-01-02T03:04:05.678Z", "software": {"holdfast": "0.1.0"}, "files": []}
        self.manifest.update(members)

    def add(self, name, role, data, tensors=None, chunk=1 << 20):
        entry = {"name": name, "role": role, "bytes": len(data), "crc32c": crc(data), "chunkBytes": chunk,
                 "chunks": [crc(data[i:i + chunk]) for i in range(0, len(data), chunk)]}
        if role in ("model", "optimizer"):
            entry["tensors"] = [{"name": n, "offset": o, "bytes": b, "crc32c": crc(data[o:o + b])} for n, o, b in tensors]
        self.manifest["files"].append(entry)
        self.data[name] = data
        return self

    def tensors(self, role, triples, name=None, chunk=1 << 20, metadata=None):
        file = TensorFile(triples, self.padded, metadata, role)
        return self.add(name or f"{role}.safetensors", role, file.data, file.tensors, chunk)

    def state(self, user=None, extensions=None, chunk=1 << 20, raw=None, run=None):
        document = {"format": "holdfast-state", "version": 1, "user": user, "run": run, "extensions": extensions or {}}
        for key, given in (("user", user), ("run", run)):
            if given is None:
                del document[key]
        return self.add("state.json", "state", raw if raw is not None else (compact(document) + "\n").encode("utf-8"), chunk=chunk)

    def entry(self, name):
        return next(e for e in self.manifest["files"] if e["name"] == name)

    def body(self, *edits):
        text = compact(self.manifest)[:-1]
        for old, new in edits:
            text = replace_once(text, old, new)
        return text.encode("utf-8")

    def tree(self, *edits, raw=None):
        """All files; the manifest is sealed after the edits of its text, or is exactly raw."""
        return {**self.data, "manifest.json": sealed(self.body(*edits)) if raw is None else raw}


# ---- the corpus ----
FILES, EXPECTED, NAMES = {}, [], set()


def case(kind, name, tree, path="", problems=(), checksummed=True, checkpoints=None):
    assert (kind, name) not in NAMES and (kind == "damaged") == bool(problems)
    NAMES.add((kind, name))
    for relative, content in tree.items():
        FILES[f"{kind}/{name}/{relative}"] = content
    judgement = {"path": f"{kind}/{name}/{path}".rstrip("/"), "ok": not problems, "checksummed": checksummed}
    if checkpoints is not None:
        judgement["checkpoints"] = checkpoints
    EXPECTED.append({**judgement, "problems": list(problems)})


def problem(code, checkpoint, file, **facts):
    return {"code": code, "checkpoint": checkpoint, "file": file, **facts}


def good(name, tree, checkpoints=1):
    case("good", name, tree, checkpoints=checkpoints)


def damaged(name, tree, *problems):
    """problems: (code, file, facts) of the one checkpoint in this case."""
    case("damaged", name, tree, problems=[problem(code, name, file, **facts) for code, file, facts in problems])


NONE = {"offset": None, "bytes": None, "tensors": []}


def bad_manifest(name, tree, code="ERR_MANIFEST"):
    """Only the manifest is kept: nothing else may be looked at, so nothing else may be missed."""
    damaged("manifest-" + name, {"manifest.json": tree["manifest.json"]}, (code, "manifest.json", NONE))


def good_bare(name, header, body=b""):
    case("good", "bare-" + name, {"t.safetensors": bare(header, body)}, "t.safetensors", checksummed=False)


def bad_bare(name, code, data):
    problems = [problem(code, None, "t.safetensors")]
    case("damaged", "bare-" + name, {"t.safetensors": data}, "t.safetensors", problems, checksummed=False)


ALL_DTYPES = [(f"t_{dtype.lower()}", dtype, [4, 3] if BITS[dtype] == 6 else [2, 3]) for dtype in BITS]
SMALL = [("dense/kernel", "F32", [3, 5]), ("dense/bias", "F32", [5]), ("flags", "U8", [7])]


def good_checkpoints():
    def new(**members):
        return Checkpoint(padded=True, **members)

    good("all-dtypes", new().tensors("model", ALL_DTYPES).tree())
    good("scalar", new().tensors("model", [("s", "F32", []), ("step", "I64", [])]).tree())
    good("empty-tensors", new().tensors("model", [("a", "F32", [0]), ("b", "F64", [3, 0, 2]), ("c", "U8", [5]), ("d", "U8", [0])]).tree())
    good("only-empty-tensors", new().tensors("model", [("a", "F32", [0]), ("b", "F4", [0, 3])]).tree())
    good("zero-tensors", new().tensors("model", []).tree())
    good("no-files", new().tree())

    sharded, index = new(), {"metadata": {"total_size": 0}, "weight_map": {}}
    parts = [[("a", "F64", [4]), ("b", "F32", [8])], [("c", "F32", [9])], [("d", "F16", [3]), ("e", "I8", [5])]]
    for number, part in enumerate(parts, 1):
        file = f"model-{number:05d}-of-00003.safetensors"
        sharded.tensors("model", part, file)
        for tensor, dtype, shape in part:
            index["weight_map"][tensor] = file
            index["metadata"]["total_size"] += length_of(dtype, shape)
    good("sharded", sharded.add("model.safetensors.index.json", "index", (compact(index) + "\n").encode()).tree())

    full = new().tensors("model", SMALL).tensors("optimizer", [("dense/kernel/m", "F32", [3, 5]), ("t", "I32", [])])
    full.state({"shuffle": [3, 1, 2], "note": "é ☃ 😀", "nested": {"a": None, "b": [True, False, -0.5]}}, {"tfjs": {"iterations": 100}})
    full.add("model.json", "attachment", b'{"modelTopology":{}}').add("vocab.bin", "attachment", noise("vocab", 300))
    full.add("モデル.txt", "attachment", "ein Text\n".encode()).add("empty.txt", "attachment", b"")
    good("full", full.tree())
    good("state-without-user", new().tensors("model", SMALL).state().tree())
    good("state-proto", new().state({"__proto__": {"polluted": True}, "constructor": 1, "": ""}, {"__proto__": {"x": 1}}).tree())

    run = {"scheduler": {"lr": 1e-3, "last": None}, "rng": [1, 2.5, "é"], "dataPosition": 117, "config": False}
    good("state-run", new().tensors("model", SMALL).state({"x": 1}, run=run).tree())
    good("state-run-only", new().state(run={"rng": None}).tree())
    good("state-run-empty", new().state(run={}).tree())
    good("state-run-unknown-members", new().state(run={"later": {"a": [1]}, "__proto__": 1, "config": {}}).tree())

    names = ["__proto__", "constructor", "toString", "hasOwnProperty", "nul\0nul", "\0", "tab\tline\nquote\"back\\slash/", "gewicht/größe",
             "\u00e9", "e\u0301", "模型", "\uff5e", "😀", "\ufffe", "\u007f", " ", "../up", "length", "0", "10", "9", "n" * 300, "manifest.json"]
    named = new().tensors("model", [(name, "U8", [2 + i]) for i, name in enumerate(names)])
    good("names", named.state({"x": 1}).tree())

    good("chunks", new().tensors("model", [("a", "F32", [300]), ("b", "F32", [1]), ("c", "F32", [600]), ("d", "U8", [3])], chunk=1000)
         .tensors("optimizer", SMALL, chunk=4096).state({"x": "y" * 20}, chunk=1).add("log.txt", "attachment", b"x" * 64, chunk=16).tree())
    good("chunk-exact-and-max", new().tensors("model", [("a", "U8", [1904])], chunk=1500).tensors("optimizer", SMALL, chunk=67108864).tree())

    unknown = new(note={"crc32c": "00000000", "deep": [[[[{}]]]]}, zzz=None).tensors("model", SMALL)
    unknown.manifest["files"][0].update(extra=[1.5e300, -0.0, "x"], compression=None)
    unknown.manifest["files"][0]["tensors"][0]["extra"] = {"a": {"a": {"a": 1}}}
    unknown.manifest["monitor"]["patience"] = 3
    unknown.manifest["text"] = ',"crc32c":"00000000"}\n'
    good("unknown-members", unknown.tree())
    good("unknown-proto-member", new().tensors("model", SMALL).tree(('"epoch":1', '"__proto__":{"files":[],"version":2},"epoch":1')))
    values = {"nan": "NaN", "inf": "Infinity", "ninf": "-Infinity", "negzero": "-0", "tiny": 5e-324, "big": 1.7976931348623157e308,
              "int": 3, "__proto__": 1, "": 2, "ü": -7.25}
    good("metrics", new(metrics=values).tensors("model", SMALL).tree(('"int":3', '"int":3,"e":1E+2,"f":-0,"g":0.0')))
    mode = '"mode":"min"'
    good("monitor-improved", new().tensors("model", SMALL).tree((mode, mode + ',"minDelta":0.01,"threshold":1.5,"improved":true')))
    good("monitor-not-improved", new().tensors("model", SMALL).tree((mode, mode + ',"minDelta":0,"threshold":-2,"improved":false')))
    good("monitor-max", new().tensors("model", SMALL).tree((mode, '"improved":true,"mode":"max","threshold":-1E+300')))
    good("monitor-numbers", new().tensors("model", SMALL).tree((mode, mode + ',"minDelta":-0,"threshold":9007199254740993')))
    weights = new(contents="weights", metrics={}, software={}).tensors("model", SMALL)
    del weights.manifest["epoch"], weights.manifest["monitor"]
    good("weights-only", weights.tree())
    good("big-integers", new(sequence=2**53 - 1, step=2**53 - 1, epoch=0).tensors("model", SMALL).tree())
    good("unlisted-file", {**new().tensors("model", SMALL).tree(), "notes.txt": b"not in the manifest\n"})
    pretty = new().tensors("model", SMALL)
    good("spelled-otherwise", pretty.tree(raw=sealed(replace_once(json.dumps(pretty.manifest, indent=2)[:-1], '"model"', '"m\\u006fdel"').encode())))

    tree = {"registry.json": b'{"this is": garbage', ".lock": b"4711\n", "latest": Link("step-30"), "best": Link("step-5"),
            ".tmp-step-40/model.safetensors": b"unfinish", ".tmp-step-41/manifest.json": b"{", ".hidden/manifest.json": b"{",
            "notes/readme.txt": b"not a checkpoint\n", "loose.txt": b"neither\n"}
    for sequence, (name, step) in enumerate([("step-30", 30), ("step-5", 5), ("zz älter", 1)], 1):
        one = Checkpoint(sequence, step).tensors("model", SMALL[:sequence]).state({"at": step})
        tree.update({f"{name}/{file}": data for file, data in one.tree().items()})
    good("directory", tree, checkpoints=3)

    tree = {"latest": Link("best_model.2"), "best": Link("best_model.3"), "best_model": Link("best_model.3"), "paper": Link("./best_model.2"),
            "gone": Link("best_model.1"), "notes": Link("notes.txt"), "notes.txt": b"neither\n", "set aside": Link(".quarantine/best_model.1"),
            ".quarantine/best_model.1/manifest.json": b"{", ".quarantine/best_model.1/model.safetensors": b"cut", ".mine": Link("best_model.2")}
    for sequence, contents in [(2, "full"), (3, "weights")]:
        one = Checkpoint(sequence, 10 * sequence, contents=contents).tensors("model", SMALL).state(run={"rng": sequence})
        tree.update({f"best_model.{sequence}/{file}": data for file, data in one.tree().items()})
    good("directory-links", tree, checkpoints=2)


def good_bare_files():
    one = '"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}'
    good_bare("minimal", "{}")
    good_bare("no-metadata", "{" + one + "}", b"ab")
    good_bare("empty-metadata", '{"__metadata__":{},' + one + "}", b"ab")
    good_bare("metadata-last", "{" + one + ',"__metadata__":{"format":"pt","":"","a":"\\u0000"}}', b"ab")
    good_bare("padded", "{" + one + "}" + " " * 50, b"ab")
    good_bare("whitespace", '{ \n\t"a" :\r\n{ "dtype" : "U8" , "shape" : [ 2 ] , "data_offsets" : [ 0 , 2 ] } } ', b"ab")
    good_bare("fields-in-other-order", '{"a":{"data_offsets":[0,2],"shape":[1,2,1],"dtype":"U8"}}', b"ab")
    good_bare("escaped-keys", '{"\\u005f_metadata__":{"x":"y"},"\\u0061":{"d\\u0074ype":"\\u00558","shape":[2],"data\\u005foffsets":[0,2]}}', b"ab")
    good_bare("escaped-pair", '{"\\ud83d\\ude00":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', b"ab")
    good_bare("tensors-in-other-order", '{"a":{"dtype":"U8","shape":[3],"data_offsets":[2,5]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', b"abcde")
    good_bare("unaligned", '{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F64","shape":[1],"data_offsets":[3,11]}}', noise("u", 11))
    empty = ",".join(f'"{n}":{{"dtype":"F32","shape":[0],"data_offsets":[{at},{at}]}}' for n, at in [("e1", 0), ("e2", 2), ("e3", 5), ("e4", 0)])
    good_bare("empties-at-edges", "{" + empty + ',"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]}}', b"abcde")
    good_bare("sub-byte", '{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]},"b":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[1,4]},'
              '"c":{"dtype":"F6_E3M2","shape":[2,2],"data_offsets":[4,7]}}', noise("s", 7))
    good_bare("odd-names", '{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},'
              '"\\u0000":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"constructor":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}', b"abcd")
    good_bare("proto-in-metadata", '{"__metadata__":{"__proto__":"x","constructor":"y"},' + one + "}", b"ab")
    good_bare("size-zero-huge", '{"a":{"dtype":"U8","shape":[0,9007199254740991],"data_offsets":[0,0]}}')
    good_bare("raw-del-and-noncharacter", '{"\u007f\ufffe":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"a")
    case("good", "bare-writer", {"model.safetensors": TensorFile(SMALL, padded=True).data, "readme.txt": b"a bare file, beside another file\n"},
         "model.safetensors", checksummed=False)


def bad_bare_files():
    def entry(dtype='"U8"', shape="[2]", offsets="[0,2]", name='"a"', more=""):
        return f'{name}:{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}{more}}}'

    def one(code, name, body=b"ab", **fields):
        bad_bare(name, code, bare("{" + entry(**fields) + "}", body))

    def text(code, name, header, body=b"ab"):
        bad_bare(name, code, bare(header, body))

    fine = "{" + entry() + "}"
    bad_bare("file-empty", "ERR_TRUNCATED", b"")
    bad_bare("file-7-bytes", "ERR_TRUNCATED", b"\2\0\0\0\0\0\0")
    for name, length in [("over-limit", 100_000_001), ("2-to-63", 2**63), ("max-u64", 2**64 - 1), ("2-to-53", 2**53), ("2-to-32", 2**32 + len(fine)),
                         ("outside-by-one", len(fine) + 3), ("limit-but-outside", 100_000_000)]:
        bad_bare("length-" + name, "ERR_HEADER_LENGTH", bare(fine, b"ab", length))
    bad_bare("length-only-8-bytes", "ERR_HEADER_LENGTH", struct.pack("<Q", 2))

    for name, raw in [("byte-ff", b"\xff"), ("overlong", b"\xc0\x80"), ("surrogate", b"\xed\xa0\x80"), ("beyond-10ffff", b"\xf4\x90\x80\x80"),
                      ("lone-continuation", b"\x80"), ("cut-sequence", b"\xe2\x82")]:
        text("ERR_HEADER_ENCODING", "utf8-" + name, b'{"' + raw + b'":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}')
    text("ERR_HEADER_ENCODING", "utf8-in-padding", fine.encode() + b"  \xff ")
    text("ERR_HEADER_ENCODING", "utf8-before-json", b"not json \xff")
    text("ERR_HEADER_ENCODING", "utf16", b"\xff\xfe" + fine.encode("utf-16-le"))

    deep = lambda n: '{"a":' + "[" * (n - 1) + "]" * (n - 1) + "}"  # noqa: E731
    for name, header in [("empty", ""), ("only-spaces", "    "), ("bom", "\ufeff" + fine), ("leading-space", " " + fine), ("leading-newline", "\n" + fine),
                         ("list", "[]"), ("string", '"a"'), ("null", "null"), ("unclosed", "{" + entry()), ("trailing-text", fine + "x"),
                         ("trailing-object", fine + "{}"), ("trailing-nul", fine + "\0\0\0"), ("trailing-nbsp", fine + "\u00a0"), ("trailing-comma", "{" + entry() + ",}"),
                         ("trailing-comma-in-list", "{" + entry(shape="[2,]") + "}"), ("single-quotes", fine.replace('"', "'")), ("comment", "{/**/" + entry() + "}"),
                         ("bare-key", "{a:1}"), ("missing-colon", '{"a" 1}'), ("nan", "{" + entry(shape="[NaN]") + "}"), ("infinity", "{" + entry(shape="[Infinity]") + "}"),
                         ("minus-infinity", "{" + entry(shape="[-Infinity]") + "}"), ("leading-zero", "{" + entry(shape="[02]") + "}"), ("plus", "{" + entry(shape="[+2]") + "}"),
                         ("point-without-digits", "{" + entry(shape="[2.]") + "}"), ("point-first", "{" + entry(shape="[.5]") + "}"), ("hex", "{" + entry(shape="[0x2]") + "}"),
                         ("exponent-without-digits", "{" + entry(shape="[2e]") + "}"), ("lone-minus", "{" + entry(shape="[-]") + "}"),
                         ("full-width-digit", "{" + entry(shape="[２]") + "}"), ("underscore-digits", "{" + entry(shape="[1_0]") + "}"),
                         ("control-in-string", "{" + entry(name='"a\nb"') + "}"), ("nul-in-string", "{" + entry(name='"a\0b"') + "}"), ("tab-in-string", "{" + entry(name='"a\tb"') + "}"),
                         ("bad-escape", "{" + entry(name='"\\x41"') + "}"), ("short-u-escape", "{" + entry(name='"\\u41"') + "}"), ("odd-u-escape", "{" + entry(name='"\\u+041"') + "}"),
                         ("capital-literal", '{"a":True}'), ("vertical-tab", "{\v" + entry() + "}"), ("form-feed", fine + "\f"), ("nbsp", "{\u00a0" + entry() + "}"), ("line-separator", "{\u2028" + entry() + "}"),
                         ("high-surrogate", "{" + entry(name='"\\ud83d"') + "}"), ("low-surrogate", "{" + entry(name='"\\ude00"') + "}"),
                         ("surrogates-reversed", "{" + entry(name='"\\ude00\\ud83d"') + "}"), ("surrogate-then-text", "{" + entry(name='"\\ud83dx"') + "}"),
                         ("two-high-surrogates", "{" + entry(name='"\\ud83d\\ud83d\\ude00"') + "}"),
                         ("surrogate-in-metadata", '{"__metadata__":{"x":"\\udfff"},' + entry() + "}"), ("surrogate-in-metadata-key", '{"__metadata__":{"\\ud800":"x"},' + entry() + "}"),
                         ("surrogate-in-dtype", "{" + entry(dtype='"\\ud800"') + "}"), ("depth-9", deep(9)), ("depth-50", deep(50)), ("depth-20000", deep(20000)),
                         ("depth-9-objects", '{"a":' * 8 + "{}" + "}" * 8), ("depth-unclosed", '{"a":' + "[" * 20000)]:
        text("ERR_HEADER_JSON", "json-" + name, header)
    text("ERR_HEADER_FIELD", "field-depth-8", deep(8))

    for name, header in [("plain", "{" + entry() + "," + entry() + "}"), ("escaped", "{" + entry() + "," + entry(name='"\\u0061"') + "}"),
                         ("escaped-upper-and-lower", "{" + entry(name='"\\u00E9"') + "," + entry(name='"\\u00e9"') + "}"), ("escaped-slash", "{" + entry(name='"/"') + "," + entry(name='"\\/"') + "}"),
                         ("escaped-pair", "{" + entry(name='"😀"') + "," + entry(name='"\\ud83d\\ude00"') + "}"), ("empty-name", "{" + entry(name='""') + "," + entry(name='""') + "}"),
                         ("proto", "{" + entry(name='"__proto__"') + "," + entry(name='"__proto__"') + "}"), ("proto-escaped", "{" + entry(name='"__proto__"') + "," + entry(name='"\\u005f_proto__"') + "}"),
                         ("metadata", '{"__metadata__":{"a":"b"},"__metadata__":{"a":"b"},' + entry() + "}"), ("inside-metadata", '{"__metadata__":{"x":"1","y":"2","x":"1"},' + entry() + "}"),
                         ("inside-metadata-escaped", '{"__metadata__":{"x":"1","\\u0078":"1"},' + entry() + "}"), ("inside-metadata-proto", '{"__metadata__":{"__proto__":"1","__proto__":"1"},' + entry() + "}"),
                         ("field", "{" + entry(more=',"dtype":"U8"') + "}"), ("field-escaped", "{" + entry(more=',"\\u0073hape":[2]') + "}"),
                         ("far-down", '{"a":{"dtype":"U8","shape":[{"x":1,"x":2}],"data_offsets":[0,2]}}'), ("before-bad-metadata", '{"__metadata__":null,' + entry() + "," + entry() + "}")]:
        text("ERR_HEADER_DUPLICATE", "duplicate-" + name, header)

    for name, value in [("null", "null"), ("string", '"pt"'), ("list", "[]"), ("number", "1"), ("true", "true"), ("with-number", '{"x":1}'), ("with-null", '{"x":null}'),
                        ("with-true", '{"format":"pt","x":true}'), ("with-object", '{"x":{}}'), ("with-list", '{"x":["y"]}'), ("proto-number", '{"__proto__":1}'),
                        ("like-an-entry", '{"dtype":"U8","shape":[2],"data_offsets":[0,2]}')]:
        text("ERR_HEADER_METADATA", "metadata-" + name, '{"__metadata__":' + value + "," + entry() + "}")
    text("ERR_HEADER_METADATA", "metadata-escaped-name", '{"\\u005f_metadata__":null,' + entry() + "}")

    for name, value in [("null", "null"), ("number", "1"), ("string", '"U8"'), ("list", "[]"), ("empty", "{}")]:
        text("ERR_HEADER_FIELD", "field-entry-" + name, '{"a":' + value + "}")
    text("ERR_HEADER_FIELD", "field-no-dtype", '{"a":{"shape":[2],"data_offsets":[0,2]}}')
    text("ERR_HEADER_FIELD", "field-no-shape", '{"a":{"dtype":"U8","data_offsets":[0,2]}}')
    text("ERR_HEADER_FIELD", "field-no-offsets", '{"a":{"dtype":"U8","shape":[2]}}')
    for name, fields in [("unknown", dict(more=',"strides":[1]')), ("proto", dict(more=',"__proto__":{}')), ("dtype-number", dict(dtype="8")), ("dtype-null", dict(dtype="null")),
                         ("dtype-list", dict(dtype='["U8"]')), ("shape-null", dict(shape="null")), ("shape-number", dict(shape="2")), ("shape-object", dict(shape='{"0":2}')),
                         ("shape-string", dict(shape='"2"')), ("offsets-null", dict(offsets="null")), ("offsets-one", dict(offsets="[0]")), ("offsets-three", dict(offsets="[0,2,2]")),
                         ("offsets-empty", dict(offsets="[]")), ("offsets-object", dict(offsets='{"0":0,"1":2}')), ("offsets-string", dict(offsets='"02"'))]:
        one("ERR_HEADER_FIELD", "field-" + name, **fields)
    text("ERR_HEADER_FIELD", "field-proto-entry-number", '{"__proto__":5}', b"")
    text("ERR_HEADER_FIELD", "field-proto-fields", '{"a":{"__proto__":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}}')

    for name, dtype in [("unknown", '"F128"'), ("lower-case", '"f32"'), ("empty", '""'), ("space", '"U8 "'), ("to-string", '"toString"'), ("proto", '"__proto__"'), ("constructor", '"constructor"')]:
        one("ERR_HEADER_DTYPE", "dtype-" + name, dtype=dtype)
    text("ERR_HEADER_OFFSETS", "order-offsets-before-length", "{" + entry(offsets="[0,3]") + "}", b"ab")

    for name, shape in [("negative", "[-2]"), ("minus-zero", "[2,-0]"), ("minus-one-twice", "[-1,-2]"), ("float", "[2.0]"), ("fraction", "[2.5]"), ("exponent", "[2e0]"), ("exponent-upper", "[2E0]"), ("string", '["2"]'),
                        ("null", "[null]"), ("true", "[true,2]"), ("false", "[false]"), ("list", "[[2]]"), ("object", "[{}]"), ("2-to-53", "[9007199254740992]"), ("2-to-64", "[18446744073709551616]"),
                        ("2-to-64-plus-2", "[18446744073709551618]"), ("rounds-to-2-to-53", "[9007199254740993]"), ("overflow-product", "[4294967296,4294967296]"), ("wraps-to-2", "[2,1,9223372036854775809]"),
                        ("wraps-to-0", "[4294967296,4294967296,4]"), ("5000-digits", "[" + "9" * 5000 + "]"), ("exponent-overflow", "[1e400]")]:
        one("ERR_HEADER_SHAPE", "shape-" + name, shape=shape)
    one("ERR_HEADER_SHAPE", "shape-overflow-beside-0", shape="[4294967296,4294967296,0]", offsets="[0,0]", body=b"")
    one("ERR_HEADER_SHAPE", "shape-bytes-wrap-to-0", dtype='"F64"', shape="[2305843009213693952]", offsets="[0,0]", body=b"")
    one("ERR_HEADER_SHAPE", "shape-elements-overflow-f4", dtype='"F4"', shape="[2,4503599627370496]", offsets="[0,4503599627370496]")
    one("ERR_HEADER_SHAPE", "shape-partial-byte-f4", dtype='"F4"', shape="[3]")
    one("ERR_HEADER_SHAPE", "shape-partial-byte-f6", dtype='"F6_E2M3"', shape="[2]")
    one("ERR_HEADER_SHAPE", "shape-partial-byte-scalar", dtype='"F6_E3M2"', shape="[]", offsets="[0,1]", body=b"a")

    for name, offsets in [("negative", "[-2,0]"), ("minus-zero", "[-0,2]"), ("float", "[0,2.0]"), ("exponent", "[0e0,2]"), ("string", '["0",2]'), ("null", "[null,2]"), ("true", "[true,3]"), ("false", "[false,2]"), ("list", "[[0],2]"),
                          ("swapped", "[2,0]"), ("too-short", "[0,1]"), ("too-long", "[0,3]"), ("equal", "[0,0]"), ("huge-end", "[0,18446744073709551618]"),
                          ("huge-both", "[18446744073709551616,18446744073709551618]"), ("5000-digits", "[0," + "9" * 5000 + "]"), ("first-not-0", "[1,3]"), ("rounding", "[9007199254740992,9007199254740994]")]:
        one("ERR_HEADER_OFFSETS", "offsets-" + name, b"abc", offsets=offsets)
    two = lambda first, second: "{" + entry(offsets=first) + "," + entry(name='"b"', offsets=second) + "}"  # noqa: E731
    for name, first, second in [("hole", "[0,2]", "[3,5]"), ("overlap", "[0,2]", "[1,3]"), ("same-place", "[0,2]", "[0,2]"), ("hole-reordered", "[3,5]", "[0,2]"), ("overlap-reordered", "[1,3]", "[0,2]")]:
        text("ERR_HEADER_OFFSETS", "offsets-" + name, two(first, second), b"abcde")
    text("ERR_HEADER_OFFSETS", "offsets-empty-in-the-middle", "{" + entry() + "," + entry(name='"e"', shape="[0]", offsets="[1,1]") + "}")
    text("ERR_HEADER_OFFSETS", "offsets-empty-beyond-the-end", "{" + entry() + "," + entry(name='"e"', shape="[0]", offsets="[3,3]") + "}")
    text("ERR_HEADER_OFFSETS", "offsets-empty-not-at-0", "{" + entry(shape="[0]", offsets="[2,2]") + "}")
    text("ERR_HEADER_OFFSETS", "offsets-contained", "{" + entry(shape="[4]", offsets="[0,4]") + "," + entry(name='"b"', offsets="[1,3]") + "}", b"abcd")

    text("ERR_TRUNCATED", "too-short-by-one", fine, b"a")
    text("ERR_TRUNCATED", "too-short-no-data", fine, b"")
    text("ERR_TRUNCATED", "too-short-huge-tensor", "{" + entry(shape="[9007199254740991]", offsets="[0,9007199254740991]") + "}")
    text("ERR_EXTENDED", "too-long-by-one", fine, b"abc")
    text("ERR_EXTENDED", "too-long-without-tensors", "{}", b"\0")
    text("ERR_EXTENDED", "too-long-after-empty", "{" + entry(shape="[0]", offsets="[0,0]") + "}", b"a")


def base(chunk=1 << 20):
    return Checkpoint().tensors("model", SMALL, chunk=chunk).state({"at": 7}).add("notes.txt", "attachment", b"some notes\n")


def bad_manifests():
    """One broken rule each, under a right seal unless the seal is the matter."""
    whole = base().tree()["manifest.json"]
    body = base().body()
    for name, raw in [("seal-missing", body + b"}\n"), ("seal-wrong", sealed(body)[:-11] + b"01234567\"}\n"), ("seal-of-zeros", body + b',"crc32c":"00000000"}\n'),
                      ("seal-upper-case", body + b',"crc32c":"' + crc(body).upper().encode() + b'"}\n'), ("seal-over-the-comma", body + b',"crc32c":"' + crc(body + b",").encode() + b'"}\n'),
                      ("seal-with-spaces", body + b',"crc32c": "' + crc(body).encode() + b'"}\n'), ("seal-not-last", body + b',"crc32c":"' + crc(body).encode() + b'","x":1}\n'),
                      ("no-newline", whole[:-1]), ("two-newlines", whole + b"\n"), ("crlf", whole[:-1] + b"\r\n"), ("space-before-newline", whole[:-1] + b" \n"), ("empty", b""), ("only-a-seal", whole[-22:]),
                      ("truncated", whole[:200]), ("truncated-by-10", whole[:-10]), ("twice", whole + whole), ("text-before", b"x" + whole), ("zeros", bytes(len(whole))),
                      ("seal-empty-body", sealed(b"")), ("bom", sealed(b"\xef\xbb\xbf" + body)), ("not-utf8", sealed(body.replace(b"run-0f3a", b"run-\xff\xfe"))),
                      ("utf8-surrogate", sealed(body.replace(b"run-0f3a", b"run-\xed\xa0\x80"))), ("not-json", sealed(b"hello")), ("json-unclosed", sealed(body[:-1])), ("json-trailing-comma", sealed(body + b",")),
                      ("json-closed-early", sealed(body + b"}")), ("list-in-object", sealed(b"[" + body)), ("empty-object", sealed(b"{"))]:
        bad_manifest(name, base().tree(raw=raw))
    flipped = bytearray(whole)
    flipped[whole.index(b'"step":100') + 8] ^= 1
    bad_manifest("flipped-bit", base().tree(raw=bytes(flipped)))
    bad_manifest("replaced-by-older", {**base().tree(), "manifest.json": Checkpoint(version=1).body() + whole[-22:]})

    step, notes, mode = '"step":100', '"name":"notes.txt"', '"mode":"min"'
    edits = {
        "nan-literal": (step, step + ',"x":NaN'), "infinity-literal": (step, step + ',"x":-Infinity'), "control-in-string": ("run-0f3a", "run\n"),
        "duplicate": (step, step + "," + step), "duplicate-escaped": (step, step + ',"st\\u0065p":100'), "duplicate-in-metrics": ('"val_loss":0.25', '"val_loss":0.25,"val_loss":0.25'),
        "duplicate-in-unknown": (step, step + ',"x":[{"y":[{"z":1,"z":1}]}]'), "duplicate-proto": (step, step + ',"__proto__":1,"__proto__":1'), "duplicate-in-file": (notes, notes + "," + notes),
        "format-other": ('"holdfast","version"', '"Holdfast","version"'), "format-missing": ('"format":"holdfast",', ""), "format-number": ('"format":"holdfast"', '"format":1'),
        "version-missing": ('"version":1,', ""), "version-string": ('"version":1', '"version":"1"'), "version-float": ('"version":1', '"version":1.0'), "version-exponent": ('"version":1', '"version":1e0'), "version-true": ('"version":1', '"version":true'), "version-null": ('"version":1', '"version":null'),
        "run-id-missing": ('"runId":"run-0f3a",', ""), "run-id-number": ('"run-0f3a"', "7"),
        "sequence-0": ('"sequence":1', '"sequence":0'), "sequence-negative": ('"sequence":1', '"sequence":-1'), "sequence-float": ('"sequence":1', '"sequence":1.0'), "sequence-exponent": ('"sequence":1', '"sequence":1e0'),
        "sequence-string": ('"sequence":1', '"sequence":"1"'), "sequence-true": ('"sequence":1', '"sequence":true'), "sequence-2-to-53": ('"sequence":1', '"sequence":9007199254740992'), "sequence-huge": ('"sequence":1', '"sequence":' + "9" * 400), "sequence-missing": ('"sequence":1,', ""),
        "contents-other": ('"full"', '"partial"'), "contents-missing": ('"contents":"full",', ""), "contents-list": ('"full"', '["full"]'), "contents-to-string": ('"full"', '"toString"'),
        "step-negative": (step, '"step":-1'), "step-minus-zero": (step, '"step":-0'), "step-fraction": (step, '"step":1.5'), "step-null": (step, '"step":null'), "step-missing": (step + ",", ""), "step-string": (step, '"step":"100"'), "step-leading-zero": (step, '"step":0100'),
        "epoch-negative": ('"epoch":1', '"epoch":-1'), "epoch-fraction": ('"epoch":1', '"epoch":0.5'), "epoch-string": ('"epoch":1', '"epoch":"1"'),
        "metrics-missing": ('"metrics":{"val_loss":0.25},', ""), "metrics-list": ('{"val_loss":0.25}', "[0.25]"), "metrics-null": ('{"val_loss":0.25}', "null"), "metrics-string": ("0.25", '"0.25"'), "metrics-nan-lower": ("0.25", '"nan"'), "metrics-inf": ("0.25", '"+Infinity"'),
        "metrics-value-null": ("0.25", "null"), "metrics-value-true": ("0.25", "true"), "metrics-value-list": ("0.25", "[0.25]"), "metrics-bare-nan": ("0.25", "NaN"),
        "monitor-mode": ('"mode":"min"', '"mode":"best"'), "monitor-without-mode": (',"mode":"min"', ""), "monitor-without-metric": ('"metric":"val_loss",', ""), "monitor-metric-number": ('"metric":"val_loss"', '"metric":1'), "monitor-string": ('{"metric":"val_loss","mode":"min"}', '"val_loss"'),
        "monitor-null": ('{"metric":"val_loss","mode":"min"}', "null"), "monitor-list": ('{"metric":"val_loss","mode":"min"}', '["val_loss","min"]'),
        "monitor-min-delta-negative": (mode, mode + ',"minDelta":-1e-9'), "monitor-min-delta-string": (mode, mode + ',"minDelta":"0"'), "monitor-min-delta-null": (mode, mode + ',"minDelta":null'), "monitor-min-delta-true": (mode, mode + ',"minDelta":true'),
        "monitor-min-delta-word": (mode, mode + ',"minDelta":"Infinity"'), "monitor-min-delta-too-large": (mode, mode + ',"minDelta":1e999'), "monitor-min-delta-nan": (mode, mode + ',"minDelta":NaN'),
        "monitor-threshold-string": (mode, mode + ',"threshold":"0.5"'), "monitor-threshold-null": (mode, mode + ',"threshold":null'), "monitor-threshold-list": (mode, mode + ',"threshold":[0.5]'), "monitor-threshold-word": (mode, mode + ',"threshold":"-0"'),
        "monitor-threshold-too-large": (mode, mode + ',"threshold":-1e999'), "monitor-threshold-false": (mode, mode + ',"threshold":false'),
        "monitor-improved-number": (mode, mode + ',"improved":1'), "monitor-improved-string": (mode, mode + ',"improved":"true"'), "monitor-improved-null": (mode, mode + ',"improved":null'), "monitor-improved-twice": (mode, mode + ',"improved":true,"improved":true'),
        "created-words": ("2025-01-02T03:04:05.678Z", "yesterday"), "created-without-zone": ("2025-01-02T03:04:05.678Z", "2025-01-02T03:04:05.678"), "created-month-13": ("2025-01-02T03:04:05.678Z", "2025-13-02T03:04:05.678Z"),
        "metrics-too-large": ("0.25", "1e999"), "software-depth-17": ('"software":{', '"deep":' + "[" * 16 + "]" * 16 + ',"software":{'), "unknown-surrogate": ('"contents":"full"', '"contents":"full","later":"\\ud800"'),
        "created-missing": ('"createdAt":"2025-01-02T03:04:05.678Z",', ""), "created-number": ('"2025-01-02T03:04:05.678Z"', "1735787045678"),
        "software-missing": ('"software":{"holdfast":"0.1.0"},', ""), "software-number": ('"0.1.0"', "1"), "software-list": ('{"holdfast":"0.1.0"}', "[]"), "software-nested": ('"0.1.0"', "{}"),
        "file-role-unknown": ('"role":"attachment"', '"role":"weights"'), "file-role-missing": (',"role":"attachment"', ""), "file-role-proto": ('"role":"attachment"', '"role":"__proto__"'), "file-name-missing": (notes + ",", ""), "file-name-number": (notes, '"name":1'),
        "file-bytes-negative": ('"bytes":11', '"bytes":-11'), "file-bytes-float": ('"bytes":11', '"bytes":11.0'), "file-bytes-string": ('"bytes":11', '"bytes":"11"'), "file-bytes-missing": ('"bytes":11,', ""),
        "file-bytes-huge": ('"bytes":11', '"bytes":18446744073709551616'),
        "files-missing": ('"files":', '"fiels":'),
    }
    for name, edit in edits.items():
        bad_manifest(name, base().tree(edit))
    for name, value in [("empty", ""), ("dot", "."), ("dot-dot", ".."), ("hidden", ".hidden"), ("parent", "../x"), ("slash", "a/b"), ("trailing-slash", "notes.txt/"), ("absolute", "/etc/hostname"), ("backslash", "a\\b"), ("manifest", "manifest.json"),
                        ("nul", "notes.txt\0"), ("newline", "a\nb"), ("delete", "a\u007fb"), ("256-bytes", "n" * 256), ("258-bytes-of-86-characters", "€" * 86)]:
        bad = base()
        bad.entry("notes.txt")["name"] = value
        bad_manifest("name-" + name, bad.tree())

    def change(name, file, **members):
        bad = base()
        bad.entry(file).update(members)
        bad_manifest(name, bad.tree())

    for name, members in [("crc-missing", {"crc32c": None}), ("crc-upper-case", {"crc32c": "ABCDEF01"}), ("crc-7-digits", {"crc32c": "1234567"}), ("crc-9-digits", {"crc32c": "012345678"}), ("crc-number", {"crc32c": 12345678}),
                          ("crc-newline", {"crc32c": "1234567\n"}), ("chunk-bytes-0", {"chunkBytes": 0}), ("chunk-bytes-negative", {"chunkBytes": -1}), ("chunk-bytes-too-large", {"chunkBytes": 67108865}), ("chunk-bytes-float", {"chunkBytes": 11.0}), ("chunk-bytes-string", {"chunkBytes": "11"}),
                          ("chunks-too-many", {"chunks": [crc(b"some notes\n"), crc(b"")]}), ("chunks-too-few", {"chunks": []}), ("chunks-too-few-for-chunk-bytes", {"chunkBytes": 10}), ("chunks-string", {"chunks": crc(b"some notes\n")}),
                          ("chunks-number", {"chunks": [1]}), ("chunks-upper-case", {"chunks": ["ABCDEF01"]}), ("chunks-null", {"chunks": None}), ("chunks-for-nothing", {"bytes": 0, "chunks": ["00000000"]})]:
        change("file-" + name, "notes.txt", **members)
    first, second, third = base().entry("model.safetensors")["tensors"]
    for name, tensors in [("missing", None), ("object", {"a": first}), ("number", [1, first]), ("hole", [first, third]), ("overlap", [first, {**second, "offset": second["offset"] - 4, "bytes": second["bytes"] + 4}, third]), ("not-to-the-end", [first, second]),
                          ("beyond-the-end", [first, second, {**third, "bytes": third["bytes"] + 1}]), ("out-of-order", [second, first, third]), ("name-number", [{**first, "name": 1}, second, third]), ("name-missing", [{k: v for k, v in first.items() if k != "name"}, second, third]),
                          ("crc-missing", [{k: v for k, v in first.items() if k != "crc32c"}, second, third]), ("crc-bad", [{**first, "crc32c": "xyz"}, second, third]), ("offset-negative", [{**first, "offset": -1, "bytes": first["offset"] + first["bytes"] + 1}, second, third]),
                          ("offset-string", [{**first, "offset": str(first["offset"])}, second, third]), ("bytes-float", [{**first, "bytes": float(first["bytes"])}, second, third]), ("bytes-negative", [first, second, third, {**third, "offset": third["offset"] + 7, "bytes": -7}, third])]:
        change("tensors-" + name, "model.safetensors", tensors=tensors)
    absent = base()
    del absent.entry("model.safetensors")["tensors"]
    bad_manifest("tensors-absent", absent.tree())
    for name, files in [("object", {}), ("null", None), ("of-strings", ["model.safetensors"]), ("of-null", [None])]:
        bad = base()
        bad.manifest["files"] = files
        bad_manifest("files-" + name, bad.tree())
    twice = base()
    twice.manifest["files"].append(twice.entry("notes.txt"))
    bad_manifest("files-name-twice", twice.tree())
    again = base()
    again.manifest["files"].append({**again.entry("model.safetensors"), "name": "model-2.safetensors"})
    bad_manifest("tensors-in-two-files", again.tree())
    change("tensors-name-twice", "model.safetensors", tensors=[first, {**second, "name": first["name"]}, third])
    states = base()
    states.manifest["files"].append({**states.entry("state.json"), "name": "state-2.json"})
    bad_manifest("files-two-states", states.tree())

    bad_manifest("version-2", base().tree(('"version":1', '"version":2')), "ERR_UNSUPPORTED_VERSION")
    bad_manifest("version-0", base().tree(('"version":1', '"version":0')), "ERR_UNSUPPORTED_VERSION")
    bad_manifest("version-2-without-the-rest", base().tree(raw=sealed(b'{"format":"holdfast","version":2,"objects":[]')), "ERR_UNSUPPORTED_VERSION")
    bad_manifest("version-2-seal-wrong", base().tree(raw=replace_once(whole.decode(), '"version":1', '"version":2').encode()))


def spans(before, after, chunk, tensors):
    """ERR_CHECKSUM for each chunk that is different now, with the tensors in it that are different now."""
    found = []
    for begin in range(0, len(before), chunk):
        end = min(begin + chunk, len(before))
        if before[begin:end] != after[begin:end]:
            hit = [n for n, o, b in tensors if max(o, begin) < min(o + b, end) and before[o:o + b] != after[o:o + b]]
            found.append({"offset": begin, "bytes": end - begin, "tensors": hit})
    return found


def bad_contents():
    def corrupt(name, file, change, chunk=1 << 20, checkpoint=None):
        """Changes the bytes of one file after it was recorded, keeping its length."""
        one = checkpoint or base(chunk)
        tree, entry = one.tree(), one.entry(file)
        before, after = tree[file], bytearray(tree[file])
        change(after)
        assert len(before) == len(after) and before != after
        tree[file] = bytes(after)
        tensors = [(t["name"], t["offset"], t["bytes"]) for t in entry.get("tensors", [])]
        damaged(name, tree, *[("ERR_CHECKSUM", file, facts) for facts in spans(before, after, entry["chunkBytes"], tensors)])

    def flip(position, bit=0):
        def change(data):
            data[position] ^= 1 << bit
        return change

    whole, many = base(), base(32)
    at = {t["name"]: t["offset"] for t in whole.entry("model.safetensors")["tensors"]}
    size = len(whole.data["model.safetensors"])
    model = "model.safetensors"
    corrupt("flip-tensor", model, flip(at["dense/kernel"] + 5, 3))
    corrupt("flip-tensor-small-chunks", model, flip(at["dense/kernel"] + 30, 7), 32)
    corrupt("flip-last-bit-of-the-file", model, flip(size - 1, 7), 32)
    corrupt("flip-first-byte-of-a-tensor", model, flip(at["flags"]), 16)
    corrupt("flip-header-length", model, flip(0), 32)
    corrupt("flip-header-length-high", model, flip(7, 7))
    corrupt("flip-header-text", model, flip(40, 2), 32)
    corrupt("flip-header-and-tensor", model, lambda d: (flip(12)(d), flip(at["flags"] + 1)(d)))
    corrupt("flip-two-chunks", model, lambda d: (flip(at["dense/kernel"])(d), flip(at["dense/kernel"] + 40)(d)), 16)
    corrupt("flip-neighbours", model, lambda d: (flip(at["dense/kernel"] - 1)(d), flip(at["dense/kernel"])(d)))
    corrupt("flip-state", "state.json", flip(10))
    corrupt("flip-attachment", "notes.txt", flip(3, 5))
    corrupt("zeroed", model, lambda d: d.__setitem__(slice(0, len(d)), bytes(len(d))), 64)

    aligned = Checkpoint(padded=True).tensors("model", [("a", "F32", [16]), ("b", "F32", [16]), ("c", "F32", [16])], chunk=64)
    corrupt("flip-both-sides-of-a-chunk-border", model, lambda d: (flip(4096 + 63)(d), flip(4096 + 64)(d)), checkpoint=aligned)
    corrupt("flip-last-byte-of-the-header", model, flip(4095), checkpoint=Checkpoint(padded=True).tensors("model", SMALL, chunk=4096))

    long = Checkpoint().tensors("model", [("a", "F32", [40]), ("b", "F32", [40]), ("c", "F32", [40])], chunk=64)

    def swap(data):
        first, second = len(data) // 64 - 2, len(data) // 64 - 5
        first, second = slice(first * 64, first * 64 + 64), slice(second * 64, second * 64 + 64)
        data[first], data[second] = data[second], data[first]

    corrupt("chunks-swapped", model, swap, checkpoint=long)
    stale = Checkpoint().tensors("model", [("a", "F32", [40]), ("b", "F32", [40]), ("c", "F32", [40])], chunk=64)

    def old_chunk(data):
        begin = len(data) // 64 * 64 - 128
        data[begin:begin + 64] = noise("an older version", 64)

    corrupt("chunk-stale", model, old_chunk, checkpoint=stale)
    corrupt("tensor-displaced", model, lambda d: d.__setitem__(slice(at["dense/bias"] + 1, size), d[at["dense/bias"]:size - 1]), 32)

    def listed(name, change, *problems):
        one = base(32)
        change(one)
        damaged(name, one.tree(), *[("ERR_CHECKSUM", model, facts) for facts in problems])

    files, tensors = lambda c: c.entry(model), many.entry(model)["tensors"]  # noqa: E731
    file_problem = {"offset": 0, "bytes": size, "tensors": []}
    kernel_problem, flags_problem = ({"offset": t["offset"], "bytes": t["bytes"], "tensors": [t["name"]]} for t in (tensors[1], tensors[2]))
    assert kernel_problem["tensors"] == ["dense/kernel"] and flags_problem["tensors"] == ["flags"]
    set_tensor = lambda i, value: lambda c: files(c)["tensors"][i].update(crc32c=value)  # noqa: E731
    listed("listed-file-crc-wrong", lambda c: files(c).update(crc32c="01234567"), file_problem)
    listed("listed-tensor-crc-wrong", set_tensor(1, "01234567"), kernel_problem)
    listed("listed-two-tensor-crcs-swapped", lambda c: (set_tensor(1, tensors[2]["crc32c"])(c), set_tensor(2, tensors[1]["crc32c"])(c)), kernel_problem, flags_problem)
    listed("listed-file-and-tensor-crc-wrong", lambda c: (files(c).update(crc32c="01234567"), set_tensor(1, "01234567")(c)), file_problem, kernel_problem)
    listed("listed-chunk-crc-wrong", lambda c: files(c)["chunks"].__setitem__(2, "01234567"), {"offset": 64, "bytes": 32, "tensors": []})
    listed("listed-chunk-and-file-crc-wrong", lambda c: (files(c)["chunks"].__setitem__(2, "01234567"), files(c).update(crc32c="01234567")), {"offset": 64, "bytes": 32, "tensors": []})
    inside = tensors[1]["offset"] // 32 + 1
    listed("listed-chunk-and-tensor-crc-wrong", lambda c: (files(c)["chunks"].__setitem__(inside, "01234567"), set_tensor(1, "01234567")(c)), {"offset": inside * 32, "bytes": 32, "tensors": ["dense/kernel"]})
    listed("listed-file-crc-wrong-and-renamed", lambda c: (files(c).update(crc32c="01234567"), files(c)["tensors"][0].update(name="other")), file_problem)
    listed("listed-tensor-crc-wrong-and-renamed", lambda c: (set_tensor(1, "01234567")(c), files(c)["tensors"][0].update(name="other")), kernel_problem)
    empty = Checkpoint().add("empty.bin", "attachment", b"")
    empty.entry("empty.bin")["crc32c"] = "01234567"
    damaged("listed-crc-of-an-empty-file-wrong", empty.tree(), ("ERR_CHECKSUM", "empty.bin", {"offset": 0, "bytes": 0, "tensors": []}))
    nothing = Checkpoint().tensors("model", [("e", "F32", [0]), ("x", "U8", [2])])
    nothing.entry(model)["tensors"][0]["crc32c"] = "01234567"
    damaged("listed-crc-of-an-empty-tensor-wrong", nothing.tree(), ("ERR_CHECKSUM", model, {"offset": nothing.entry(model)["tensors"][0]["offset"], "bytes": 0, "tensors": ["e"]}))

    # Files that are not there, or of another size.
    def without(name, files, *problems, **extra):
        tree = {k: v for k, v in base().tree().items() if k not in files}
        tree.update({k.replace("__", "/"): v for k, v in extra.items()})
        damaged(name, tree, *problems)

    missing = ("ERR_MISSING_FILE", model, NONE)
    without("missing-model", [model], missing)
    without("missing-state", ["state.json"], ("ERR_MISSING_FILE", "state.json", NONE))
    without("missing-everything", [model, "state.json", "notes.txt"], missing, ("ERR_MISSING_FILE", "state.json", NONE), ("ERR_MISSING_FILE", "notes.txt", NONE))
    without("missing-manifest", ["manifest.json"], ("ERR_MISSING_MANIFEST", "manifest.json", NONE))
    damaged("symlink-to-a-right-copy", {**base().tree(), "copy.bin": base().data[model], model: Link("copy.bin")}, missing)
    damaged("manifest-symlink", {"real.json": base().tree()["manifest.json"], "manifest.json": Link("real.json")}, ("ERR_MANIFEST", "manifest.json", NONE))
    damaged("symlink-dangling", {**base().tree(), model: Link("nowhere")}, missing)
    damaged("directory-for-a-file", {**{k: v for k, v in base().tree().items() if k != "notes.txt"}, "notes.txt/x": b"some notes\n"}, ("ERR_MISSING_FILE", "notes.txt", NONE))
    longest = base()
    longest.entry("notes.txt")["name"] = "€" * 85
    del longest.data["notes.txt"]
    damaged("missing-name-of-255-bytes", longest.tree(), ("ERR_MISSING_FILE", "€" * 85, NONE))
    for name, file, size_change in [("truncated-by-1", model, -1), ("truncated-to-nothing", model, -size), ("truncated-inside-the-header", model, 20 - size), ("truncated-state", "state.json", -4), ("extended-by-1", model, 1), ("extended-notes", "notes.txt", 4096)]:
        tree = base().tree()
        before = len(tree[file])
        tree[file] = tree[file][:size_change] if -before < size_change < 0 else b"" if size_change < 0 else tree[file] + bytes(size_change)
        damaged(name, tree, ("ERR_TRUNCATED" if size_change < 0 else "ERR_EXTENDED", file, {"offset": min(before, before + size_change)}))
    tree = base().tree()
    tree[model] = bytes(5) + tree[model][5:-1]
    damaged("truncated-and-flipped", tree, ("ERR_TRUNCATED", model, {"offset": size - 1}))
    tree = base(32).tree()
    tree[model], tree["notes.txt"] = tree[model][:-1] + bytes([tree[model][-1] ^ 1]), b"short"
    del tree["state.json"]
    last = (size - 1) // 32 * 32
    damaged("three-files-three-problems", tree, ("ERR_CHECKSUM", model, {"offset": last, "bytes": size - last, "tensors": ["flags"]}), ("ERR_MISSING_FILE", "state.json", NONE), ("ERR_TRUNCATED", "notes.txt", {"offset": 5}))

    # Right checksums, wrong contents.
    def header(name, code, data, tensors, role="model"):
        damaged("header-" + name, Checkpoint().add(f"{role}.safetensors", role, data, tensors).tree(), (code, f"{role}.safetensors", {}))

    one = '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}'
    fine = bare(one, b"abcdefgh")
    n = len(fine) - 8
    header("five-bytes", "ERR_TRUNCATED", b"abcde", [])
    header("length", "ERR_HEADER_LENGTH", bytes([255] * 8) + b"abcdefgh", [("a", 8, 8)])
    header("encoding", "ERR_HEADER_ENCODING", bare(b'{"\xff":1}'), [])
    header("json", "ERR_HEADER_JSON", bare("[]"), [])
    header("duplicate", "ERR_HEADER_DUPLICATE", bare('{"a":1,"a":1}'), [], "optimizer")
    header("metadata", "ERR_HEADER_METADATA", bare('{"__metadata__":null}'), [])
    header("field", "ERR_HEADER_FIELD", bare('{"a":{}}'), [])
    header("dtype", "ERR_HEADER_DTYPE", bare(one.replace("U8", "U7"), b"abcdefgh"), [("a", n, 4), ("b", n + 4, 4)])
    header("shape", "ERR_HEADER_SHAPE", bare('{"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}'), [])
    header("offsets", "ERR_HEADER_OFFSETS", bare(one.replace("[4,8]", "[5,9]"), b"abcdefghi"), [("a", n, 4), ("b", n + 4, 5)])
    header("too-long", "ERR_TRUNCATED", fine[:-1], [("a", n, 4), ("b", n + 4, 3)])
    header("too-short", "ERR_EXTENDED", fine + b"i", [("a", n, 4), ("b", n + 4, 5)])
    for name, tensors in [("renamed", [("a", n, 4), ("c", n + 4, 4)]), ("other-split", [("a", n, 3), ("b", n + 3, 5)]), ("names-swapped", [("b", n, 4), ("a", n + 4, 4)]), ("merged", [("a", n, 8)]), ("not-listed", []), ("only-the-last", [("b", n + 4, 4)]),
                          ("more-listed", [("a", n, 4), ("b", n + 4, 4), ("e", n + 8, 0)]), ("begins-in-the-header", [("a", n - 4, 8), ("b", n + 4, 4)]), ("metadata-listed", [("__metadata__", n, 4), ("b", n + 4, 4)])]:
        header("mismatch-" + name, "ERR_HEADER_MISMATCH", fine, tensors)
    header("mismatch-optimizer", "ERR_HEADER_MISMATCH", fine, [("a", n, 4), ("B", n + 4, 4)], "optimizer")
    accents = '{"\u00e9":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'
    header("mismatch-other-normalization", "ERR_HEADER_MISMATCH", bare(accents, b"abcd"), [("e\u0301", 8 + len(accents.encode()), 4)])

    for name, raw in [("list", b"[]\n"), ("null", b"null\n"), ("string", b'"x"\n'), ("empty", b""), ("not-json", b"hello\n"), ("truncated", b'{"format":"holdfast-state","version":1,'), ("not-utf8", b'{"format":"holdfast-state","version":1,"user":"\xff","extensions":{}}\n'),
                      ("other-format", b'{"format":"holdfast","version":1,"extensions":{}}\n'), ("no-format", b'{"version":1,"extensions":{}}\n'), ("version-2", b'{"format":"holdfast-state","version":2,"extensions":{}}\n'), ("version-string", b'{"format":"holdfast-state","version":"1","extensions":{}}\n'),
                      ("no-version", b'{"format":"holdfast-state","extensions":{}}\n'), ("extensions-list", b'{"format":"holdfast-state","version":1,"extensions":[]}\n'), ("extensions-null", b'{"format":"holdfast-state","version":1,"extensions":null}\n'), ("no-extensions", b'{"format":"holdfast-state","version":1,"user":{}}\n'),
                      ("nan", b'{"format":"holdfast-state","version":1,"user":NaN,"extensions":{}}\n'), ("trailing-text", b'{"format":"holdfast-state","version":1,"extensions":{}}\nx'),
                      ("run-list", b'{"format":"holdfast-state","version":1,"run":[],"extensions":{}}\n'), ("run-null", b'{"format":"holdfast-state","version":1,"run":null,"extensions":{}}\n'), ("run-string", b'{"format":"holdfast-state","version":1,"run":"","extensions":{}}\n'),
                      ("run-number", b'{"format":"holdfast-state","version":1,"run":0,"extensions":{}}\n'), ("run-false", b'{"format":"holdfast-state","version":1,"run":false,"extensions":{}}\n')]:
        damaged("state-" + name, Checkpoint().state(raw=raw).tree(), ("ERR_STATE", "state.json", {}))


def bad_directories():
    def put(tree, name, files):
        tree.update({f"{name}/{file}": data for file, data in files.items()})

    tree = {"latest": Link("c"), "registry.json": b"[]"}
    put(tree, "a", Checkpoint(1, 10).tensors("model", SMALL).tree())
    put(tree, "b", Checkpoint(2, 20).tensors("model", SMALL).tree())
    put(tree, "c", Checkpoint(3, 30).tensors("model", SMALL).tree())
    tree["b/model.safetensors"] = tree["b/model.safetensors"][:-3]
    tree["c/manifest.json"] = tree["c/manifest.json"][:-1]
    put(tree, "d", {"model.safetensors": TensorFile(SMALL).data})
    put(tree, "e", {"manifest.json": b""})
    put(tree, ".tmp-f", {"manifest.json": b""})
    length = len(tree["b/model.safetensors"])
    case("damaged", "directory", tree, problems=[problem("ERR_TRUNCATED", "b", "model.safetensors", offset=length), problem("ERR_MANIFEST", "c", "manifest.json", **NONE),
                                                 problem("ERR_MISSING_MANIFEST", "d", "manifest.json", **NONE), problem("ERR_MANIFEST", "e", "manifest.json", **NONE)])


def build():
    good_checkpoints()
    good_bare_files()
    bad_bare_files()
    bad_manifests()
    bad_contents()
    bad_directories()
    lines = ",\n".join("  " + json.dumps(judgement) for judgement in EXPECTED)
    FILES["expected.json"] = f"[\n{lines}\n]\n".encode()


def write(out):
    for name in ("good", "damaged"):
        shutil.rmtree(os.path.join(out, name), ignore_errors=True)
    for relative, content in FILES.items():
        path = os.path.join(out, relative)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(content, Link):
            os.symlink(content, path)
        else:
            with open(path, "wb") as file:
                file.write(content)


def read(out):
    """The same map from what lies on disk."""
    found = {}
    for folder, folders, files in os.walk(out):
        for name in files + [f for f in folders if os.path.islink(os.path.join(folder, f))]:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, out).replace(os.sep, "/")
            if relative not in ("README.md", ".gitattributes"):
                if os.path.islink(path):
                    found[relative] = Link(os.readlink(path))
                else:
                    with open(path, "rb") as file:
                        found[relative] = file.read()
    return found


def main(arguments):
    check = arguments[:1] == ["--check"]
    if len(arguments) != 1 + check or arguments[-1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    build()
    if not check:
        write(arguments[0])
        total = sum(len(content) for content in FILES.values())
        print(f"{len(EXPECTED)} cases, {len(FILES)} files, {total} bytes")
        return 0
    with tempfile.TemporaryDirectory() as fresh:  # through a file system, so that both sides have been through one
        write(fresh)
        wanted, found = read(fresh), read(arguments[-1])
    different = [p for p in sorted(set(wanted) | set(found)) if (type(wanted.get(p)), wanted.get(p)) != (type(found.get(p)), found.get(p))]
    for path in different[:20]:
        print(f"{'differs' if path in wanted and path in found else 'missing' if path in wanted else 'not made here'}: {path}")
    print(f"{len(EXPECTED)} cases: {f'{len(different)} files are NOT' if different else 'all files are'} as generated")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
