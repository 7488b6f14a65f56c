"""Wheels written by tests. Source: PyPA specification "Binary distribution format"."""

from __future__ import annotations

import base64
import hashlib
import sysconfig
import zipfile
from collections.abc import Mapping
from pathlib import Path

PACKAGES = sysconfig.get_paths()["purelib"]
# A package that is another one's files, under another version.
BORROWED = """
__path__[:] = [{folder!r}]
__file__ = {folder!r} + "/__init__.py"
exec(compile(open(__file__).read(), __file__, "exec"))
"""
CRASHING = "import ctypes\nctypes.string_at(0)\n"


def wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, str | bytes],
    tag: str = "py3-none-any",
    requires: tuple[str, ...] = (),
    record: Mapping[str, str] | None = None,
) -> Path:
    """Write a wheel; ``record`` changes the hashes of some files, empty ones are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    held = {
        **files,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    data = {file: text if isinstance(text, bytes) else text.encode() for file, text in held.items()}
    hashes = {file: f"sha256={digest(content)}" for file, content in data.items()}
    hashes.update(record or {})
    rows = "".join(f"{file},{value},\n" for file, value in hashes.items() if value)
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in data.items():
            archive.writestr(file, content)
        archive.writestr(f"{info}/RECORD", rows)
    return path


def digest(content: bytes) -> str:
    """A hash as ``RECORD`` has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def borrowed(package: str) -> dict[str, str]:
    """The files of a package that is this Python's own."""
    return {f"{package}/__init__.py": BORROWED.format(folder=f"{PACKAGES}/{package}")}


def litert(folder: Path, version: str, crashes: bool = False) -> Path:
    """A LiteRT that is this Python's own under another version, or one that crashes."""
    planted = {"ai_edge_litert/__init__.py": "", "ai_edge_litert/interpreter.py": CRASHING}
    files = planted if crashes else borrowed("ai_edge_litert")
    return wheel(folder, "ai-edge-litert", version, files, requires=("numpy>=1.20",))


def numpy(folder: Path, version: str) -> Path:
    """A numpy that is this Python's own under another version."""
    return wheel(folder, "numpy", version, borrowed("numpy"))


def tflite_runtime(folder: Path, version: str) -> Path:
    """A tflite-runtime that is LiteRT's interpreter."""
    files = {
        "tflite_runtime/__init__.py": "",
        "tflite_runtime/interpreter.py": f"import sys\nsys.path.append({PACKAGES!r})\n"
        "from ai_edge_litert.interpreter import Interpreter\n",
    }
    return wheel(folder, "tflite-runtime", version, files, requires=("numpy>=1.20",))
