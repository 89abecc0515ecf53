"""Bundles of adapters: each made from the files of a good one, with what should become of it."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from safetensors.torch import load, save

from loravit_web.adapters.config import AdapterConfigError
from loravit_web.adapters.files.bundle import Bundle, BundleChanged, NotABundle, UnsafeBundle, write_bundle
from loravit_web.adapters.files.fileset import CARD_FILE, THUMBNAIL_FILE, FilesMissing, PlainPeftAdapter
from loravit_web.adapters.files.format import CONFIG_FILE, TASK_FILE, WEIGHTS_FILE, AdapterFormatError
from loravit_web.adapters.interface import AdapterMismatch
from loravit_web.errors import LoraVitError
from registry import InvalidSlug, RegistryError
from tests.adapters.makers import with_document, with_tensors
from tests.corpus.answers import Refused
from tests.corpus.archives import ANY, table_of, zipped

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Published:
    """A version under this title comes out."""

    title: str = "Good"


@dataclass(frozen=True)
class NotPublished:
    """The registry refuses it, in words."""

    error: type[RegistryError]
    words: str

    def fits(self, sentence: str) -> bool:
        """Whether a sentence is the expected one."""
        return self.words.lower() in sentence.lower()


@dataclass(frozen=True)
class BundleEntry:
    """A file made from those of a good adapter."""

    name: str
    make: Callable[[Files], bytes]
    answer: Published | Refused | NotPublished


def bundled(files: Files, *, name: str = "good", title: str = "Good") -> bytes:
    """The bundle that these files make, its manifest right."""
    return write_bundle(Bundle(name=name, title=title, files=files))


def manifest(files: Files, /, **changes: Any) -> bytes:
    """A good bundle whose manifest says something else; None takes a field away."""
    parts = unzipped(bundled(files))
    document = {**json.loads(parts["manifest.json"]), **changes}
    text = json.dumps({key: value for key, value in document.items() if value is not None})
    return zipped({**parts, "manifest.json": text.encode()})


def unzipped(data: bytes) -> dict[str, bytes]:
    """The entries of a zip."""
    from io import BytesIO

    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def task(**changes: Any) -> Callable[[Files], bytes]:
    """A bundle whose ``task.json`` says something else."""
    return lambda files: bundled(with_document(files, TASK_FILE, **changes))


def config(**changes: Any) -> Callable[[Files], bytes]:
    """A bundle whose PEFT configuration says something else."""
    return lambda files: bundled(with_document(files, CONFIG_FILE, **changes))


def of_base(files: Files, **changes: str) -> bytes:
    """A bundle of another base."""
    base = {**json.loads(files[TASK_FILE])["base"], **changes}
    return bundled(with_document(files, TASK_FILE, base=base))


def weights(data: Callable[[bytes], bytes]) -> Callable[[Files], bytes]:
    """A bundle whose weights file is changed, with every hash put right."""

    def make(files: Files) -> bytes:
        changed = data(files[WEIGHTS_FILE])
        fixed = with_document(
            {**files, WEIGHTS_FILE: changed}, TASK_FILE, weights_sha256=sha256(changed).hexdigest()
        )
        return bundled(fixed)

    return make


def a_tensor(files: Files, part: str) -> str:
    """The name of a tensor."""
    return next(name for name in sorted(load(files[WEIGHTS_FILE])) if part in name)


def tensor(part: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> Callable[[Files], bytes]:
    """A bundle in which one tensor is another, or missing."""

    def make(files: Files) -> bytes:
        name = a_tensor(files, part)
        return bundled(with_tensors(files, {name: change(load(files[WEIGHTS_FILE])[name])}))

    return make


def filled(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """A tensor whose first value is another."""

    def change(values: torch.Tensor) -> torch.Tensor:
        values = values.clone()
        values.view(-1)[0] = value
        return values

    return change


def header(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[bytes], bytes]:
    """A safetensors file whose header says something else."""

    def make(data: bytes) -> bytes:
        (size,) = struct.unpack("<Q", data[:8])
        text = json.dumps(change(json.loads(data[8 : 8 + size]))).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + size :]

    return make


def first_tensor(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A header in which the first tensor is described otherwise."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        name = min(key for key in document if key != "__metadata__")
        return {**document, name: {**document[name], **changes}}

    return change


def huge_rank(files: Files) -> bytes:
    """Factors of rank 5,000, as their configuration says."""
    a, b = a_tensor(files, "lora_A"), a_tensor(files, "lora_B")
    tensors = load(files[WEIGHTS_FILE])
    big = {a: torch.zeros(5_000, tensors[a].shape[1]), b: torch.zeros(tensors[b].shape[0], 5_000)}
    adapter = {**json.loads(files[TASK_FILE])["adapter"], "r": 5_000}
    changed = with_document(with_tensors(files, big), TASK_FILE, adapter=adapter)
    return bundled(with_document(changed, CONFIG_FILE, r=5_000))


def adapter_field(**changes: Any) -> Callable[[Files], bytes]:
    """A bundle in which the adapter's own configuration says something else."""
    return lambda files: task(adapter={**json.loads(files[TASK_FILE])["adapter"], **changes})(files)


def preprocessing(**changes: Any) -> Callable[[Files], bytes]:
    """A bundle whose images go through something else."""
    return lambda files: task(preprocessing={**json.loads(files[TASK_FILE])["preprocessing"], **changes})(
        files
    )


def metrics(**changes: Any) -> Callable[[Files], bytes]:
    """A bundle whose validation says something else."""
    measured = {"n": 8, "accuracy": 0.5, "loss": 0.5, "macro_f1": 0.5, **changes}
    return task(training={"metrics": {"validation": measured}})


def described(old: bytes, new: bytes) -> Callable[[Files], bytes]:
    """A bundle in whose ``task.json`` one piece of text is another."""

    def make(files: Files) -> bytes:
        assert old in files[TASK_FILE]
        return bundled({**files, TASK_FILE: files[TASK_FILE].replace(old, new, 1)})

    return make


def classes(names: list[Any]) -> Callable[[Files], bytes]:
    """A bundle whose classes are called so, as many as it has."""
    return task(class_names=names)


def pickled(files: Files) -> bytes:
    """Weights as a pickle that would run a command."""
    evil = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x08touch x1\x85R."
    kept = {name: data for name, data in files.items() if name != WEIGHTS_FILE}
    return bundled({**kept, "adapter_model.bin": evil})


LIE = Refused(AdapterFormatError, "is not a valid safetensors file")
NUMBERS = Refused(AdapterMismatch, "contains values that are not finite")
NO = Refused(NotABundle, "is not an adapter bundle, or it is damaged. Choose a zip exported from a catalog")
CHANGED = Refused(BundleChanged, "")
UNUSABLE = Refused(AdapterFormatError, "cannot be used")
NAMES = Refused(AdapterFormatError, "class name")


def refused(error: type[LoraVitError], words: str) -> Refused:
    """Shorter in a table."""
    return Refused(error, words)


# fmt: off
BUNDLES: tuple[BundleEntry, ...] = (
    BundleEntry("a good bundle", bundled, Published()),
    BundleEntry("a good bundle, packed again", lambda files: zipped(unzipped(bundled(files))), Published()),
    # no bundle at all
    BundleEntry("no bytes", lambda _: b"", NO),
    BundleEntry("text", lambda _: b"hello", NO),
    BundleEntry("an image", lambda _: ANY, NO),
    BundleEntry("an empty zip", lambda _: zipped({}), refused(FilesMissing, "is not an adapter. Add the missing")),
    BundleEntry("half a bundle", lambda files: bundled(files)[:2000], NO),
    BundleEntry("a zip of images", lambda _: zipped({"cat/1.png": ANY}), refused(UnsafeBundle, "which is not a file of an adapter")),
    BundleEntry("a flipped byte", lambda files: bundled(files).replace(b'"temperature"', b'"temperaturf"'), NO),
    # entries
    BundleEntry("zip slip", lambda files: zipped({**unzipped(bundled(files)), "../../evil.txt": b"x"}), refused(UnsafeBundle, "which is not a file of an adapter")),
    BundleEntry("zip slip by name", lambda files: zipped({f"../{name}": data for name, data in unzipped(bundled(files)).items()}), refused(UnsafeBundle, "which is not a file of an adapter")),
    BundleEntry("an absolute path", lambda files: zipped({**unzipped(bundled(files)), "/etc/cron.d/evil": b"x"}), refused(UnsafeBundle, "which is not a file of an adapter")),
    BundleEntry("the files in a folder", lambda files: zipped({f"good/{name}": data for name, data in unzipped(bundled(files)).items()}), Published()),
    BundleEntry("the files in two folders", lambda files: zipped({f"a/good/{name}": data for name, data in unzipped(bundled(files)).items()}), refused(UnsafeBundle, "which is not a file of an adapter")),
    BundleEntry("the name of a folder", lambda files: bundled(files, name="my_Flowers v1.2"), Published()),
    BundleEntry("a file twice", lambda files: zipped([*unzipped(bundled(files)).items(), (TASK_FILE, b"{}")]), refused(UnsafeBundle, "twice. Export the adapter again")),
    BundleEntry("2000 files", lambda _: zipped({f"{number}.json": b"" for number in range(2000)}), refused(UnsafeBundle, "contains more than 1000 files")),
    BundleEntry("a table of 2000 entries that says it has 5", lambda _: table_of(2000, 5), refused(UnsafeBundle, "contains more than 1000 files")),
    BundleEntry("a file with a name of 60,000 characters", lambda files: zipped({**unzipped(bundled(files)), "n" * 60_000: b""}), refused(UnsafeBundle, "which is not a file of an adapter")),
    BundleEntry("a bomb in the description", lambda files: zipped({**unzipped(bundled(files)), TASK_FILE: bytes(8 << 20)}), refused(AdapterFormatError, "is larger than 4 MB")),
    BundleEntry("a manifest of 2 MB", lambda files: zipped({**unzipped(bundled(files)), "manifest.json": bytes(2 << 20)}), refused(UnsafeBundle, "manifest.json is larger than 1 MB")),
    BundleEntry("packed with LZMA", lambda files: zipped(unzipped(bundled(files)), zipfile.ZIP_LZMA), refused(UnsafeBundle, "unsupported compression")),
    BundleEntry("a pickle", lambda files: zipped({**unzipped(bundled(files)), "adapter_model.bin": b"\x80\x04"}), refused(UnsafeBundle, "adapter_model.bin")),
    BundleEntry("only a pickle", pickled, refused(UnsafeBundle, "adapter_model.bin")),
    BundleEntry("PEFT's files alone", lambda files: zipped({name: files[name] for name in (CONFIG_FILE, WEIGHTS_FILE)}), refused(PlainPeftAdapter, "is a plain PEFT adapter")),
    BundleEntry("no weights", lambda files: zipped({TASK_FILE: files[TASK_FILE], CONFIG_FILE: files[CONFIG_FILE]}), refused(FilesMissing, "Add the missing adapter_model.safetensors")),
    # the manifest
    BundleEntry("no manifest", lambda files: zipped(dict(files)), refused(BundleChanged, "has no manifest.json")),
    BundleEntry("a manifest of another version", lambda files: manifest(files, schema_version=99), refused(AdapterFormatError, "version 99")),
    BundleEntry("a manifest without a name", lambda files: manifest(files, name=None), CHANGED),
    BundleEntry("a manifest without files", lambda files: manifest(files, files=None), CHANGED),
    BundleEntry("a manifest that lists nothing", lambda files: manifest(files, files={}), refused(BundleChanged, "is not listed in manifest.json")),
    BundleEntry("a manifest of a file that isn't there", lambda files: manifest(files, files={**{name: {"sha256": sha256(data).hexdigest()} for name, data in files.items()}, "README.md": {"sha256": "0"}}), refused(BundleChanged, "lists README.md, which is missing")),
    BundleEntry("a manifest of other hashes", lambda files: manifest(files, files={name: {"sha256": "0" * 64} for name in files}), refused(BundleChanged, "differs from its hash in manifest.json")),
    BundleEntry("a manifest of wrong kinds", lambda files: manifest(files, files=[1, 2]), CHANGED),
    BundleEntry("a manifest whose title is a number", lambda files: manifest(files, title=7), CHANGED),
    BundleEntry("a manifest that is a list", lambda files: zipped({**unzipped(bundled(files)), "manifest.json": b"[]"}), refused(AdapterFormatError, "is not a JSON object")),
    BundleEntry("a manifest nested 100,000 deep", lambda files: zipped({**unzipped(bundled(files)), "manifest.json": b"[" * 100_000}), refused(AdapterFormatError, "is not valid JSON")),
    BundleEntry("another slug by traversal", lambda files: bundled(files, name="../../etc"), NotPublished(InvalidSlug, "../../etc")),
    BundleEntry("another slug by SQL", lambda files: bundled(files, name="x'; DROP TABLE adapters;--"), NotPublished(InvalidSlug, "DROP TABLE")),
    BundleEntry("no slug", lambda files: bundled(files, name=""), NotPublished(InvalidSlug, "")),
    # the weights
    BundleEntry("weights of no bytes", weights(lambda _: b""), LIE),
    BundleEntry("half the weights", weights(lambda data: data[: len(data) // 2]), LIE),
    BundleEntry("trailing bytes behind the weights", weights(lambda data: data + b"junk"), LIE),
    BundleEntry("a zip as weights", weights(lambda _: zipped({"x": b"y"})), LIE),
    BundleEntry("a header of a terabyte", weights(lambda data: struct.pack("<Q", 2**40) + data[8:]), LIE),
    BundleEntry("a header beyond the end", weights(lambda data: struct.pack("<Q", len(data) * 2) + data[8:]), LIE),
    BundleEntry("a header that is no JSON", weights(lambda _: struct.pack("<Q", 4) + b"nope"), LIE),
    BundleEntry("a tensor of 40 GB", weights(header(first_tensor(shape=[100_000, 100_000]))), LIE),
    BundleEntry("a shape that overflows", weights(header(first_tensor(shape=[2**63, 2**63]))), LIE),
    BundleEntry("offsets beyond the end", weights(header(first_tensor(data_offsets=[0, 2**40]))), LIE),
    BundleEntry("offsets backwards", weights(header(first_tensor(data_offsets=[8, 0]))), LIE),
    BundleEntry("an unknown type of numbers", weights(header(first_tensor(dtype="F99"))), LIE),
    BundleEntry("NaN in a factor", tensor("lora_A", filled(float("nan"))), NUMBERS),
    BundleEntry("infinity in the head", tensor("head.weight", filled(float("inf"))), NUMBERS),
    BundleEntry("whole numbers", tensor("lora_A", lambda values: values.to(torch.int32)), NUMBERS),
    BundleEntry("an extra tensor", lambda files: bundled(with_tensors(files, {"base_model.model.blocks.0.evil": torch.zeros(3)})), refused(AdapterMismatch, "evil")),
    BundleEntry("a tensor of a foreign name", lambda files: bundled(with_tensors(files, {"evil": torch.zeros(3)})), refused(AdapterMismatch, "is not a tensor of an adapter")),
    BundleEntry("a missing factor", tensor("lora_A", lambda _: None), refused(AdapterMismatch, "")),
    BundleEntry("a missing head", tensor("head.bias", lambda _: None), refused(AdapterMismatch, "head.bias should have shape")),
    BundleEntry("a factor the wrong way round", tensor("lora_A", lambda values: values.T.contiguous()), refused(AdapterMismatch, "shape")),
    BundleEntry("a rank of 5,000", huge_rank, refused(AdapterConfigError, "Rank 5000 is out of range")),
    BundleEntry("another factor", tensor("lora_B", lambda values: values * 3), refused(AdapterFormatError, "does not compute the reference logits stored with it")),
    BundleEntry("weights of another training", lambda files: bundled({**files, WEIGHTS_FILE: save({"base_model.model.x": torch.zeros(2)})}), refused(AdapterFormatError, "differs from its hash in task.json")),
    # the description
    BundleEntry("another base of the same name", lambda files: of_base(files, weights_sha256="0" * 64), refused(LoraVitError, "trained on")),
    BundleEntry("a base that is a path", lambda files: of_base(files, name="../../../evil", weights_sha256="0" * 64), refused(LoraVitError, "")),
    BundleEntry("a base that is not there", lambda files: of_base(files, name="vit_of_nobody", weights_sha256="0" * 64), refused(LoraVitError, "vit_of_nobody")),
    BundleEntry("the right base under another name", lambda files: of_base(files, name="<b>mine</b>"), Published()),
    BundleEntry("no base", task(base=None), refused(AdapterFormatError, "does not name the adapter's base")),
    BundleEntry("a format of tomorrow", task(schema_version=99), refused(AdapterFormatError, "version 99")),
    BundleEntry("a description that is no JSON", lambda files: bundled({**files, TASK_FILE: b"\xff\xfe{"}), refused(AdapterFormatError, "is not valid JSON")),
    BundleEntry("no classes", classes([]), refused(AdapterFormatError, "0 classes")),
    BundleEntry("one class fewer", classes(["cat", "dog"]), refused(AdapterMismatch, "head.weight should have shape")),
    BundleEntry("classes that are a number", task(class_names=3), UNUSABLE),
    BundleEntry("a class that is an object", classes(["cat", "dog", {"a": 1}]), NAMES),
    BundleEntry("the same class twice", classes(["cat", "dog", "cat"]), NAMES),
    BundleEntry("a class without a name", classes(["cat", "dog", " "]), NAMES),
    BundleEntry("a class name of 300 characters", classes(["cat", "dog", "x" * 300]), NAMES),
    BundleEntry("a class name that turns the line around", classes(["cat", "dog", "\u202ehen"]), NAMES),
    BundleEntry("a class name with a NUL", classes(["cat", "dog", "h\0en"]), NAMES),
    BundleEntry("a temperature of NaN", task(temperature=float("nan")), refused(AdapterFormatError, "temperature")),
    BundleEntry("a temperature of text", task(temperature="hot"), UNUSABLE),
    *(BundleEntry(f"a temperature of {value!r:.60}", task(temperature=value), refused(AdapterFormatError, "because temperature is"))
      for value in (1e-300, 5e-324, -1.0, 0, 0.0, 1e300, 10**40, 10**80, True, None, [1.0], "1.0", float("inf"), float("-inf"))),
    BundleEntry("a temperature of 1e999", described(b'"temperature": ', b'"temperature": 1e999, "x": '), refused(AdapterFormatError, "because temperature is inf")),
    BundleEntry("a temperature of 5,000 digits", described(b'"temperature": ', b'"temperature": ' + b"9" * 5000 + b', "x": '), refused(AdapterFormatError, "is not valid JSON")),
    BundleEntry("two temperatures", described(b'"temperature": ', b'"temperature": 1.0, "temperature": '), refused(AdapterFormatError, "contains 'temperature' twice")),
    BundleEntry("a coldest temperature that can be used", task(temperature=0.001), Published()),
    BundleEntry("NaN where nobody looks", task(notes=[1, {"x": float("nan")}]), refused(AdapterFormatError, "because notes.1.x is nan")),
    BundleEntry("a description nested 40 deep", task(notes=json.loads("[" * 40 + "]" * 40)), refused(AdapterFormatError, "is not valid JSON")),
    BundleEntry("a format of 1.0", task(schema_version=1.0), refused(AdapterFormatError, "version 1.0")),
    BundleEntry("a format of true", task(schema_version=True), refused(AdapterFormatError, "version True")),
    *(BundleEntry(f"{key} = {value!r:.20}", adapter_field(**{key: value}), refused(AdapterFormatError, "cannot be used"))
      for key, value in (("r", 8.0), ("r", True), ("r", 10**30), ("alpha", "16"), ("alpha", True), ("alpha", 1e300), ("dropout", "0"), ("dropout", None), ("blocks", 1.0), ("blocks", "2"), ("prefix_length", 2.5), ("use_rslora", 1), ("rank_pattern", {"qkv": 2.0}), ("alpha_pattern", {"qkv": "1"}))),
    *(BundleEntry(f"{key} = {value!r:.20}, out of range", adapter_field(**{key: value}), refused(AdapterConfigError, "choose"))
      for key, value in (("r", 0), ("r", -1), ("alpha", 0), ("alpha", -1.0), ("alpha", 1e6), ("dropout", 1.0), ("dropout", -0.1), ("blocks", 0), ("prefix_length", 0))),
    *(BundleEntry(f"PEFT's {key} = {value!r:.20}", config(**{key: value}), refused(AdapterFormatError, "cannot be used"))
      for key, value in (("lora_alpha", 0), ("lora_alpha", -1), ("lora_alpha", 1e300), ("lora_alpha", "8"), ("lora_alpha", True), ("r", "8"), ("r", 4.0), ("r", 10**400), ("use_rslora", 1), ("use_rslora", "no"))),
    BundleEntry("PEFT's NaN", config(lora_alpha=float("nan")), refused(AdapterFormatError, "because lora_alpha is nan")),
    *(BundleEntry(f"preprocessing with {key} = {value!r:.30}", preprocessing(**{key: value}), refused(AdapterFormatError, key))
      for key, value in (("input_size", [3, 32.0, 32.0]), ("input_size", [3, True, True]), ("input_size", [3, 0, 0]), ("input_size", [3, -32, -32]), ("input_size", "333"), ("mean", [0.5, 0.5]), ("mean", [0.5, 0.5, "0.5"]), ("mean", [1e300, 0.5, 0.5]), ("std", [0, 0.2, 0.2]), ("std", [1e-300, 0.2, 0.2]), ("std", [0.2, 0.2, True]), ("std", "abc"), ("crop_pct", True), ("crop_pct", "1.0"))),
    *(BundleEntry(f"reference logits of {value!r:.30}", task(reference_logits=value), refused(AdapterFormatError, "reference_logits"))
      for value in ([], [1.0], [1.0] * 1000, ["1", "2", "3"], [1e300, 1.0, 1.0], [True, False, True], "123", None, {"0": 1.0})),
    BundleEntry("classes that are one text", task(class_names="abc"), UNUSABLE),
    *(BundleEntry(f"validation with {key} = {value!r:.20}", metrics(**{key: value}), refused(AdapterFormatError, key))
      for key, value in (("n", 0), ("n", -1), ("n", 8.0), ("n", True), ("n", "8"), ("n", 10**30), ("accuracy", 1.5), ("accuracy", -0.1), ("accuracy", "1"), ("accuracy", True), ("loss", -1.0), ("loss", 1e300), ("macro_f1", 2), ("top5_accuracy", 1.01), ("calibration_error", -1), ("linear_probe_accuracy", "0.5"))),
    BundleEntry("images of a million pixels a side", preprocessing(input_size=[3, 1_000_000, 1_000_000]), refused(LoraVitError, "1000000")),
    BundleEntry("an image size of text", preprocessing(input_size=[3, "x", "x"]), refused(LoraVitError, "cannot be used")),
    BundleEntry("a type of adapter that there is not", adapter_field(adapter_type="EVIL"), refused(LoraVitError, "EVIL")),
    BundleEntry("a field that there is not", adapter_field(hook="os.system"), refused(AdapterConfigError, "unknown field hook")),
    BundleEntry("a target that there is not", adapter_field(target_modules=["__class__"]), refused(AdapterConfigError, "__class__")),
    BundleEntry("a rank of text", adapter_field(r="8; rm -rf /"), UNUSABLE),
    BundleEntry("DoRA", config(use_dora=True), refused(LoraVitError, "")),
    BundleEntry("metrics of wrong kinds", task(training={"metrics": {"validation": {"n": "many"}}}), refused(AdapterFormatError, "metrics")),
    # what people read
    BundleEntry("a card that is no text", lambda files: bundled({**files, CARD_FILE: b"\xff\xfe\xfa"}), refused(AdapterFormatError, "is not UTF-8 text")),
    BundleEntry("an image that is HTML", lambda files: bundled({**files, THUMBNAIL_FILE: b"<script>alert(1)</script>"}), refused(AdapterFormatError, "is not a WEBP image")),
    BundleEntry("an image that is cut", lambda files: bundled({**files, THUMBNAIL_FILE: b"RIFF\x99\0\0\0WEBPVP8 "}), refused(AdapterFormatError, "cannot be shown")),
    BundleEntry("a card full of scripts", lambda files: bundled({**files, CARD_FILE: b"# Hi <script>alert(1)</script>"}), Published()),
)
