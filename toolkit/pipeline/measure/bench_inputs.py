"""What a timed model is fed: the user's items, a bundle's golden inputs, or drawn items."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import npy
from edgekit.converters import flatbuffer
from edgekit.converters.signature import chosen_signature
from edgekit.errors import BundleError, DataError
from edgekit.pipeline.items import Items
from edgekit.pipeline.measure.shape_inputs import shape_inputs
from edgekit.pipeline.run import Run
from edgekit.pipeline.selection import select_items
from edgekit.store import Store, sha256
from edgekit.targets.bundles import verify
from edgekit.targets.bundles.archive import MANIFEST
from edgekit.targets.bundles.manifest import carrying, preprocess_of
from edgekit.types import ExpectedOutput, InputSource, Json, Preprocess, SavedModel, TensorSpec

ENDINGS = (".tar.gz", ".tgz", ".zip")
DRAWN = 32
SEED = 0
# The shapes of inputs by name, batch included.
Shapes = Mapping[str, tuple[int, ...]]
BYTE_SIZED = ("int8", "uint8")


@dataclass(frozen=True)
class Feed:
    """Raw inputs as ``.npy`` files by name, the items to take of them, and how they are scaled.

    ``items`` are the user's, where they gave any.
    """

    source: InputSource
    inputs: Mapping[str, Path]
    index: Path
    preprocess: Preprocess
    items: Items | None = None


@dataclass(frozen=True)
class Unpacked:
    """A bundle that was verified: its model and its golden pairs, and how inputs are scaled.

    ``carrying`` are the fields of a request that say how its states are carried on in the pairs.
    """

    model: Path
    inputs: Mapping[str, Path]
    golden: Mapping[str, ExpectedOutput]
    index: Path
    preprocess: Preprocess
    signature: str | None = None
    carrying: Mapping[str, Json] = field(default_factory=dict)

    @property
    def feed(self) -> Feed:
        return Feed("bundle", self.inputs, self.index, self.preprocess)


def batch_of(model: SavedModel, feed: Feed) -> int:
    """Return how many items a run takes at least: the file's own batch, where it is fixed."""
    batch = 1
    for spec in model.inputs:
        batched = np.load(feed.inputs[spec.name], mmap_mode="r").ndim == len(spec.shape)
        if batched and spec.shape and spec.shape[0]:
            batch = max(batch, spec.shape[0])
    return batch


def is_bundle(source: str) -> bool:
    """Tell whether a source is named like a bundle."""
    return source.lower().endswith(ENDINGS)


def unpack(path: Path, store: Store) -> Unpacked:
    """Verify a bundle, then keep its model and golden pairs in the store.

    Raises :class:`BundleError`.
    """
    manifest = verify(path).manifest
    golden = manifest["golden"]["inputs"]
    file_names = {str(manifest["model"]["file"]): "model.tflite"}
    file_names |= {str(file): f"input-{k}.npy" for k, file in enumerate(golden.values())}
    outputs = manifest["golden"]["outputs"]
    file_names |= {
        str(output["file"]): f"output-{k}.npy" for k, output in enumerate(outputs.values())
    }

    def make(folder: Path) -> Mapping[str, Json]:
        counts = set()
        for name, content in _members(path, manifest, set(file_names)).items():
            (folder / file_names[name]).write_bytes(content)
        for k in range(len(golden)):
            counts.add(_items(path, folder / f"input-{k}.npy"))
        np.save(folder / "index.npy", np.arange(min(counts)))
        return {}

    kept = store.obtain("golden", {"sha256": sha256(path)}, make)
    return Unpacked(
        model=kept.path / "model.tflite",
        inputs={name: kept.path / f"input-{k}.npy" for k, name in enumerate(golden)},
        golden={
            name: ExpectedOutput(kept.path / f"output-{k}.npy", float(output["tolerance"]))
            for k, (name, output) in enumerate(outputs.items())
        },
        index=kept.path / "index.npy",
        preprocess=preprocess_of(manifest),
        signature=manifest["model"].get("signature"),
        carrying=carrying(manifest),
    )


def _items(path: Path, file: Path) -> int:
    """Count the golden items in an array of a bundle. Raises :class:`BundleError`."""
    try:
        return len(npy.opened(file))
    # A number has no length.
    except (ValueError, TypeError) as error:
        message = f"{path}: its golden inputs cannot be read"
        raise BundleError("EK-BUNDLE-006", message, str(error)[:300]) from error


def _members(path: Path, manifest: Mapping[str, Json], names: set[str]) -> dict[str, bytes]:
    """Read the named files of a verified bundle; digests are checked again."""
    contents = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            content = archive.extractfile(member) if name in names else None
            if content is not None:
                contents[name] = content.read()
    for name in names:
        digest = hashlib.sha256(contents.get(name, b"")).hexdigest()
        if digest != manifest["files"][name]["sha256"]:
            raise BundleError("EK-BUNDLE-005", f"{path}: {name} changed while {MANIFEST} was read")
    return contents


def given(run: Run, model: SavedModel) -> Feed:
    """Match the user's items to the model. Raises :class:`DataError`."""
    items = select_items(run, model, labelled=False)
    return Feed("data", items.inputs, items.index_path, items.preprocess, items)


def synthetic(run: Run, model: SavedModel, shapes: Shapes | None = None) -> Feed:
    """Draw random items for the model, as :func:`drawn` does, and keep them in the store."""
    stated = shapes or {}

    def make(folder: Path) -> Mapping[str, Json]:
        for k, values in enumerate(drawn(model, stated).values()):
            np.save(folder / f"input-{k}.npy", values)
        np.save(folder / "index.npy", np.arange(DRAWN))
        return {}

    named = {name: list(shape) for name, shape in stated.items()}
    more = {"signature": model.signature} if model.signature else {}
    key = run.key(
        model=model.digest, count=DRAWN, seed=SEED, **({"shapes": named} if named else {}), **more
    )
    kept = run.obtain("synthetic", key, make)
    inputs = {spec.name: kept.path / f"input-{k}.npy" for k, spec in enumerate(model.inputs)}
    return Feed("synthetic", inputs, kept.path / "index.npy", Preprocess())


def drawn(model: SavedModel, shapes: Shapes | None = None) -> Mapping[str, npt.NDArray[Any]]:
    """Draw 32 items by input name: in the range of a quantized input, else by its dtype.

    A float image (three dimensions) is uniform in 0..1, another float input standard normal, 8-bit
    integers cover their range, and wider ones are 0 or 1, which every table of embeddings has.
    An input that tells an operator a shape holds the one that the file was made with.
    ``shapes`` are those of inputs, batch included, where the model leaves dimensions free. Raises
    :class:`DataError` where one besides the batch is free all the same, or a shape does not fit.
    """
    rng, ranges = np.random.default_rng(SEED), _ranges(model)
    stated = dict(shapes or {})
    if unknown := sorted(stated.keys() - {spec.name for spec in model.inputs}):
        names = ", ".join(repr(spec.name) for spec in model.inputs)
        message = f"--shape names {unknown[0]!r}; the model's inputs are {names}"
        raise DataError("EK-DATA-060", message, f"give the shape of one of these: {names}")
    shapes_told = shape_inputs(model)
    ends = [spec for spec in (*model.inputs, *model.outputs) if spec.name not in shapes_told]
    batches = {spec.shape[:1] for spec in ends}
    items = {}
    for spec in model.inputs:
        if spec.name in shapes_told:
            value = shapes_told[spec.name].astype(spec.dtype)
            items[spec.name] = np.tile(value, (DRAWN, *[1] * value.ndim))
            continue
        item = _item(spec, stated.get(spec.name), len(batches) == 1)
        items[spec.name] = _drawn(rng, spec, ranges.get(spec.name), item)
    return items


def _item(spec: TensorSpec, stated: tuple[int, ...] | None, alike: bool) -> tuple[int, ...]:
    """Return the shape of one item; ``alike`` where all inputs and outputs have one first
    dimension.

    Without that, a first dimension that is neither 1 nor free is not a batch.
    """
    takes = f"[{', '.join('any' if size is None else str(size) for size in spec.shape)}]"
    if stated is not None:
        fits = len(stated) == len(spec.shape) and all(
            own in (None, size) for own, size in zip(spec.shape, stated, strict=True)
        )
        if not fits:
            message = f"--shape gives input {spec.name!r} {list(stated)}; the model has {takes}"
            hint = "give as many sizes as it has, and others only where it takes any"
            raise DataError("EK-DATA-060", message, hint)
        if spec.shape[:1] == (None,) and stated[0] != 1:
            message = f"--shape gives input {spec.name!r} a batch of {stated[0]}"
            raise DataError("EK-DATA-060", message, f"--batch {stated[0]} does that; write 1 here")
    shape = stated or spec.shape
    if None in shape[1:]:
        sizes = ",".join(
            "1" if at == 0 else "96" if s is None else str(s) for at, s in enumerate(spec.shape)
        )
        hint = (
            f"give their size, which decides how long it takes: --shape {spec.name}={sizes}\n"
            "or real items with --data FILE.npz: their shape is then the input's"
        )
        message = f"input {spec.name!r} takes items of any size: {takes}"
        raise DataError("EK-DATA-060", message, hint)
    sizes_of = tuple(int(size or 1) for size in shape)
    whole = not sizes_of or (sizes_of[0] != 1 and not (alike and len(sizes_of) > 1))
    return sizes_of if whole and spec.shape[:1] != (None,) else sizes_of[1:]


def _ranges(model: SavedModel) -> Mapping[str, tuple[float, float]]:
    """Compute the range of real values of each quantized input of a ``.tflite`` file."""
    if not model.is_tflite:
        return {}
    file = flatbuffer.read(model.path)
    tensors = {tensor.name: tensor for tensor in file.inputs}
    if file.signatures:
        named = {one.key: one for one in file.signatures}
        key = chosen_signature(model.path, file, model.signature)
        chosen = named[key or file.signatures[0].key]
        graph = file.graphs[chosen.graph]
        tensors = {name: graph.tensors[i] for name, i in chosen.inputs.items()}
    ranges = {}
    for name, tensor in tensors.items():
        if tensor.scale and tensor.quantization is not None:
            limits = np.iinfo(np.dtype(tensor.dtype.lower()))
            zero = tensor.quantization.zero_points[0] if tensor.quantization.zero_points else 0
            low, high = (tensor.scale * (end - zero) for end in (limits.min, limits.max))
            ranges[name] = (low, high)
    return ranges


def _drawn(
    rng: np.random.Generator,
    spec: TensorSpec,
    reals: tuple[float, float] | None,
    item: tuple[int, ...],
) -> npt.NDArray[Any]:
    shape = (DRAWN, *item)
    if reals is not None:
        return rng.uniform(*reals, shape).astype(np.float32)
    kind = np.dtype(spec.dtype)
    if kind.kind == "f":
        image = len(spec.shape) == 4
        values = rng.random(shape) if image else rng.standard_normal(shape)
        return values.astype(kind)
    if spec.dtype in BYTE_SIZED:
        limits = np.iinfo(kind)
        return rng.integers(limits.min, limits.max + 1, shape).astype(kind)
    return rng.integers(0, 2, shape).astype(kind)
