"""A delta: what turns an old bundle into a new one, for updates; by zstd or detools, the smaller.

It is of the unpacked tar: of what is compressed, a changed byte changes all that follows.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zstandard

from edgekit import nearby, strict_json
from edgekit.errors import BundleError
from edgekit.targets.bundles.archive import GZIP_LEVEL
from edgekit.targets.bundles.reading import MOST_BYTES, read_archive

MAGIC = b"edgekit delta 1\n"
LEVEL = 19
# detools sorts every suffix of the old bundle: beyond this it takes minutes, and much memory.
MOST_DETOOLS = 32 << 20
NO_DELTA, OTHER_OLD = "EK-BUNDLE-042", "EK-BUNDLE-043"
NO_MODEL = "EK-BUNDLE-044"


def make_delta(old: Path, new: Path) -> bytes:
    """Return what turns one bundle into another; what it rebuilds was compared with the new one.

    The same bundles give the same bytes. Raises :class:`BundleError` where one is not a bundle.
    """
    before, after = _tar(old), _tar(new)
    payloads = {"zstd": _zstd(before, after)}
    if max(len(before), len(after)) <= MOST_DETOOLS:
        payloads["detools"] = _detools(before, after)
    method = min(payloads, key=lambda name: len(payloads[name]))
    header = {
        "bytes": len(after),
        "method": method,
        "new": hashlib.sha256(after).hexdigest(),
        "old": hashlib.sha256(before).hexdigest(),
        "payload": _mark(payloads[method]),
    }
    delta = MAGIC + json.dumps(header, sort_keys=True).encode() + b"\n" + payloads[method]
    if _rebuilt(before, header, payloads[method]) != after:
        raise BundleError(NO_DELTA, f"the delta from {old} does not give {new}", "report this")
    return delta


def is_whole_delta(path: Path) -> bool:
    """Tell whether a file is a delta as edgekit wrote it, not cut off and not changed since."""
    try:
        header, payload = _parsed(path)
    except BundleError:
        return False
    return header.get("payload") == _mark(payload)


def delta_size(old: Path, new: Path) -> int:
    """Return the bytes of the delta that turns an old bundle into a new one.

    Raises :class:`BundleError` where one is not a bundle.
    """
    return len(make_delta(old, new))


def model_delta(old: bytes, new: bytes) -> int:
    """Count the bytes that turn one model file into another, by zstd or detools, the smaller."""
    payloads = [_zstd(old, new)]
    if max(len(old), len(new)) <= MOST_DETOOLS:
        payloads.append(_detools(old, new))
    return min(map(len, payloads))


def read_model(path: Path) -> bytes:
    """Return the model of a bundle, or a ``.tflite`` itself.

    Raises :class:`BundleError` for what is neither, and for a bundle with several models.
    """
    if path.suffix == ".tflite" and path.is_file():
        return path.read_bytes()
    models = [data for name, data in read_archive(path).items() if name.endswith(".tflite")]
    if len(set(models)) != 1:
        message = f"{path} holds {len(set(models)) or 'no'} models, of which one is the older one"
        raise BundleError(NO_MODEL, message, "name the older .tflite itself")
    return models[0]


def apply_delta(old: Path, delta: Path) -> bytes:
    """Return the new bundle, a ``.tar.gz``, that a delta makes of the old one.

    Raises :class:`BundleError` for a damaged delta, and for another old bundle than it was made of.
    """
    header, payload = _parsed(delta)
    before = _tar(old)
    if hashlib.sha256(before).hexdigest() != header["old"]:
        hint = "a delta turns the very bundle that it was made from into the new one"
        raise BundleError(OTHER_OLD, f"{delta} is not a delta of {old}", hint)
    try:
        after = _rebuilt(before, header, payload)
    except Exception as error:
        raise _damaged(delta, str(error)) from error
    if hashlib.sha256(after).hexdigest() != header["new"]:
        raise _damaged(delta, "what it gives has another digest")
    return zipped(after)


def zipped(tar: bytes) -> bytes:
    """Return a tar as bundles are compressed: without a name or a time."""
    buffer = io.BytesIO()
    with gzip.GzipFile(
        fileobj=buffer, mode="wb", filename="", mtime=0, compresslevel=GZIP_LEVEL
    ) as file:
        file.write(tar)
    return buffer.getvalue()


def _tar(path: Path) -> bytes:
    """Return a bundle's tar, which was read as one of another hand."""
    read_archive(path)
    return gzip.decompress(path.read_bytes())


def _parsed(path: Path) -> tuple[Mapping[str, Any], bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(NO_DELTA, f"there is no delta {path}", nearby.hint(path)) from error
    except OSError as error:
        raise _damaged(path, str(error.strerror)) from error
    head, _, payload = content.removeprefix(MAGIC).partition(b"\n")
    try:
        header = strict_json.loads(head)
        known = content.startswith(MAGIC) and 0 <= int(header["bytes"]) <= MOST_BYTES
        known = known and header["method"] in ("zstd", "detools")
        known = known and all(isinstance(header[name], str) for name in ("old", "new"))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "it has no header of a delta") from error
    if not known:
        raise _damaged(path, "it has no header of a delta")
    return header, payload


def _mark(payload: bytes) -> str:
    """Return what tells that bytes are unchanged, not who made them: the start of their digest."""
    return hashlib.sha256(payload).hexdigest()[:16]


def _damaged(path: Path, why: str) -> BundleError:
    hint = f"it is damaged, or no delta of edgekit: {why[:300]}"
    return BundleError(NO_DELTA, f"{path} cannot be applied", hint)


def _zstd(before: bytes, after: bytes) -> bytes:
    # The window must reach back over all of the old bundle.
    window = max(len(before) + len(after), 1 << 17).bit_length()
    parameters = zstandard.ZstdCompressionParameters.from_level(
        LEVEL, window_log=min(window, zstandard.WINDOWLOG_MAX), enable_ldm=True
    )
    prefix = zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    packer = zstandard.ZstdCompressor(dict_data=prefix, compression_params=parameters)
    return packer.compress(after)


def _detools(before: bytes, after: bytes) -> bytes:
    import detools

    patch = io.BytesIO()
    detools.create_patch(io.BytesIO(before), io.BytesIO(after), patch)
    return patch.getvalue()


def _rebuilt(before: bytes, header: Mapping[str, Any], payload: bytes) -> bytes:
    most = int(header["bytes"])
    if header["method"] == "zstd":
        prefix = zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        told = zstandard.get_frame_parameters(payload)
        if told.content_size != most:
            raise ValueError("its size is not the one that it tells")
        unpacker = zstandard.ZstdDecompressor(dict_data=prefix, max_window_size=1 << 31)
        return unpacker.decompress(payload, max_output_size=most)
    import detools

    if detools.patch_info(io.BytesIO(payload))[1][6] != most:
        raise ValueError("its size is not the one that it tells")
    after = io.BytesIO()
    detools.apply_patch(io.BytesIO(before), io.BytesIO(payload), after)
    return after.getvalue()
