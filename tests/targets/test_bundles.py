"""Bundles: the same contents give the same bytes, verify goes red for every planted fault."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_files import ROOT, Files, listed, probe_contents, read, refusal, regular, special, write

from conftest import edgekit
from edgekit.converters.quantization.editing import unpack
from edgekit.targets import catalog
from edgekit.targets.bundles import pack, verify
from edgekit.targets.bundles.archive import MANIFEST


@pytest.fixture
def small(tmp_path: Path) -> Files:
    """The files of its bundle, to plant faults in."""
    target, contents = catalog.load("linux-x86_64"), probe_contents(tmp_path)
    return read(pack(target, contents, tmp_path / "small.tar.gz").path)


def test_pack_gives_the_same_bytes_from_the_same_contents(tmp_path: Path) -> None:
    target, contents = catalog.load("linux-x86_64"), probe_contents(tmp_path)
    packed = [pack(target, contents, tmp_path / name) for name in ("a.tar.gz", "b.tar.gz")]
    assert packed[0].path.read_bytes() == packed[1].path.read_bytes()
    assert packed[0].sha256 == hashlib.sha256(packed[1].path.read_bytes()).hexdigest()
    assert packed[0].bytes == packed[1].path.stat().st_size


def test_manifest_tells_how_pictures_are_prepared_only_where_they_are(small: Files) -> None:
    assert json.loads(small[MANIFEST])["preprocess"] == {"scale": 1.0, "offset": 0.0}


def test_archive_tells_no_times_owners_or_host_paths(bundle: Path, digits_run: Path) -> None:
    with tarfile.open(bundle) as archive:
        members = archive.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {
        (0, 0, 0, "", "", 0o644)
    }
    assert [m.name for m in members] == sorted(m.name for m in members)
    whole = gzip.decompress(bundle.read_bytes())
    assert str(digits_run).encode() not in whole


def test_verify_passes_on_every_runtime_that_works_here(bundle: Path) -> None:
    found = verify(bundle)
    assert found.files == len(read(bundle))
    assert set(found.selftests) == {"litert", "tflite-runtime"}
    assert found.selftests["litert"] == "passed on 10 golden items"
    here = importlib.util.find_spec("tflite_runtime") is not None
    start = "passed" if here else "unavailable, because"
    assert found.selftests["tflite-runtime"].startswith(start)


def test_verify_passes_on_the_command_line(bundle: Path, tmp_path: Path) -> None:
    done = edgekit("verify", bundle, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["manifest"]["name"]) == ("passed", "digits")


def test_verify_passes_when_only_the_root_has_another_name(small: Files, tmp_path: Path) -> None:
    assert verify(write(tmp_path / "renamed.tar.gz", small, root="other")).files == len(small)


def names_in_a_bundle() -> list[str]:
    return [
        "MODEL_CARD.md",
        "README.md",
        "__init__.py",
        "app.py",
        "golden/input_0.npy",
        "golden/output_0.npy",
        "labels.txt",
        "model.tflite",
        "pictures.py",
        "pyproject.toml",
        "python_runner.py",
        "raw_items.py",
        "recorder.py",
        "requirements-litert.txt",
        "requirements-tflite-runtime.txt",
        "requirements.txt",
        "sbom.cdx.json",
        "systemd/probe.service",
        "watch.py",
    ]


def test_the_kinds_of_files_tried_below_are_all_there_are(small: Files) -> None:
    assert sorted(small) == sorted([*names_in_a_bundle(), MANIFEST])
    # Installed by whoever has an older Python, they would find no wheel and not say why.
    assert b"# the wheels begin at Python 3.10" in small["requirements-litert.txt"]


@pytest.mark.parametrize("name", names_in_a_bundle())
def test_verify_goes_red_when_one_bit_of_a_file_is_changed(
    small: Files, tmp_path: Path, name: str
) -> None:
    content = bytearray(small[name])
    content[len(content) // 2] ^= 1
    error = refusal(write(tmp_path / "changed.tar.gz", {**small, name: bytes(content)}))
    assert error.code == "EK-BUNDLE-005"
    assert f"{name} was changed" in error.hint


@pytest.mark.parametrize("name", names_in_a_bundle())
def test_verify_goes_red_when_a_file_is_missing(small: Files, tmp_path: Path, name: str) -> None:
    kept = {n: content for n, content in small.items() if n != name}
    error = refusal(write(tmp_path / "less.tar.gz", kept))
    assert error.code == "EK-BUNDLE-005"
    assert f"{name} is missing" in error.hint


def test_verify_goes_red_when_a_file_is_added(small: Files, tmp_path: Path) -> None:
    error = refusal(write(tmp_path / "more.tar.gz", {**small, "golden/planted.npy": b""}))
    assert error.code == "EK-BUNDLE-005"
    assert "golden/planted.npy is not in the manifest" in error.hint


@pytest.mark.parametrize(
    "planted",
    [
        regular(f"{ROOT}/../outside.txt"),
        regular("../outside.txt"),
        regular("/tmp/outside.txt"),  # noqa: S108
        regular(f"{ROOT}/app.py", b"print('twice')"),
        regular("other/app.py"),
        regular(ROOT),
        regular("."),
        regular(f"{ROOT}/app.py/below"),
        special(f"{ROOT}/link", tarfile.SYMTYPE, "/etc/passwd"),
        special(f"{ROOT}/hard", tarfile.LNKTYPE, f"{ROOT}/app.py"),
        special(f"{ROOT}/device", tarfile.CHRTYPE),
        special(f"{ROOT}/block", tarfile.BLKTYPE),
        special(f"{ROOT}/pipe", tarfile.FIFOTYPE),
        special(f"{ROOT}/folder", tarfile.DIRTYPE),
    ],
    ids=[
        "dots inside",
        "dots",
        "absolute",
        "duplicate",
        "second root",
        "the root",
        "no name",
        "below a file",
        "symlink",
        "hard link",
        "character device",
        "block device",
        "pipe",
        "folder",
    ],
)
def test_verify_goes_red_when_an_entry_is_unsafe(
    small: Files, tmp_path: Path, planted: tuple[tarfile.TarInfo, bytes]
) -> None:
    name = planted[0].name.partition("/")[2]
    files = listed({**small, name: planted[1]}) if name == "app.py/below" else small
    files = {n: c for n, c in files.items() if n != "app.py/below"}
    error = refusal(write(tmp_path / "unsafe.tar.gz", files, planted))
    assert error.code == "EK-BUNDLE-003"
    assert name.split("/")[-1] in error.message
    assert not list(tmp_path.parent.rglob("outside.txt"))


def test_verify_goes_red_when_the_archive_is_cut_anywhere(small: Files, tmp_path: Path) -> None:
    content = write(tmp_path / "whole.tar.gz", small).read_bytes()
    path = tmp_path / "cut.tar.gz"
    for length in [0, 1, 5, 10, 100, len(content) // 2, len(content) - 9]:
        path.write_bytes(content[:length])
        assert refusal(path).code == "EK-BUNDLE-002"


def test_verify_goes_red_when_something_follows_the_last_file(small: Files, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.tar.gz", small).read_bytes()
    other = write(tmp_path / "other.tar.gz", {"planted.sh": b"rm"}).read_bytes()
    path = tmp_path / "longer.tar.gz"
    for content in (
        whole + other,
        whole + b"text",
        gzip.compress(gzip.decompress(whole) + b"text"),
        gzip.compress(gzip.decompress(whole) + gzip.decompress(other)),
    ):
        path.write_bytes(content)
        assert refusal(path).code == "EK-BUNDLE-002"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no archive at all", "EK-BUNDLE-002"),
        (gzip.compress(b"no tar" * 500), "EK-BUNDLE-002"),
        (b"PK\x03\x04" + b"\x00" * 100, "EK-BUNDLE-002"),
    ],
    ids=["text", "gzip of text", "zip"],
)
def test_verify_goes_red_when_it_is_no_tar_gz(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "odd.tar.gz"
    path.write_bytes(content)
    assert refusal(path).code == code


def test_verify_goes_red_when_a_byte_of_the_archive_is_flipped(
    small: Files, tmp_path: Path
) -> None:
    whole = write(tmp_path / "whole.tar.gz", small).read_bytes()
    path, rng = tmp_path / "flipped.tar.gz", np.random.default_rng(3)
    for at in rng.integers(10, len(whole) - 8, 40):
        content = bytearray(whole)
        content[at] ^= 0x10
        path.write_bytes(bytes(content))
        refusal(path)


def test_verify_goes_red_when_there_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.tar.gz").code == "EK-BUNDLE-001"
    assert refusal(tmp_path).code == "EK-BUNDLE-001"


def test_verify_goes_red_without_a_manifest(small: Files, tmp_path: Path) -> None:
    del small[MANIFEST]
    assert refusal(write(tmp_path / "bare.tar.gz", small)).code == "EK-BUNDLE-004"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema_version": 1, "files": 3}',
        b'{"schema_version": 1, "files": {"app.py": 3}}',
        b'{"schema_version": 1, "files": {"app.py": {}}}',
    ],
)
def test_verify_goes_red_when_the_manifest_is_damaged(
    small: Files, tmp_path: Path, content: bytes
) -> None:
    error = refusal(write(tmp_path / "damaged.tar.gz", {**small, MANIFEST: content}))
    assert error.code == "EK-BUNDLE-004"


def set_schema(manifest: dict[str, Any]) -> None:
    manifest["schema_version"] = 2


def test_verify_goes_red_when_the_manifest_has_another_schema(small: Files, tmp_path: Path) -> None:
    error = refusal(write(tmp_path / "newer.tar.gz", listed(small, set_schema)))
    assert error.code == "EK-BUNDLE-004"
    assert "schema 2" in error.message


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["model"].update(file="../../etc/passwd"),
        lambda m: m["model"].update(file="/etc/passwd"),
        lambda m: m["golden"]["inputs"].update(x="../outside.npy"),
        lambda m: m["golden"]["outputs"]["y"].update(file="golden/../../outside.npy"),
    ],
    ids=["model", "absolute model", "golden input", "golden output"],
)
def test_verify_goes_red_when_the_manifest_names_a_file_outside(
    small: Files, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    error = refusal(write(tmp_path / "outside.tar.gz", listed(small, change)))
    assert error.code == "EK-BUNDLE-003"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("golden"),
        lambda m: m.pop("runtimes"),
        lambda m: m.update(runtimes=[]),
        lambda m: m.update(runtimes=["litert"]),
        lambda m: m["model"].update(file=3),
        lambda m: m["model"].update(file="a\x00b"),
        lambda m: m["golden"].update(inputs=[]),
    ],
    ids=["no golden", "no runtimes", "empty runtimes", "names", "number", "zero byte", "list"],
)
def test_verify_goes_red_when_the_manifest_cannot_be_followed(
    small: Files, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    error = refusal(write(tmp_path / "lacking.tar.gz", listed(small, change)))
    assert error.code == "EK-BUNDLE-004"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["golden"].update(outputs={}),
        lambda m: m["preprocess"].update(scale=1.5),
        lambda m: m["golden"]["outputs"]["y"].update(tolerance=-1),
        lambda m: m["model"].update(file="missing.tflite"),
    ],
    ids=["no golden output", "preprocess", "tolerance", "no model"],
)
def test_verify_goes_red_when_the_selftest_is_emptied_or_bent(
    small: Files, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    error = refusal(write(tmp_path / "bent.tar.gz", listed(small, change)))
    assert error.code in ("EK-BUNDLE-004", "EK-BUNDLE-006")


def test_verify_goes_red_when_the_model_is_replaced_with_its_digest(
    small: Files, bundle: Path, tmp_path: Path
) -> None:
    model = read(bundle)["model.tflite"]
    error = refusal(write(tmp_path / "swapped.tar.gz", listed({**small, "model.tflite": model})))
    assert error.code == "EK-BUNDLE-010"


def test_verify_goes_red_when_the_model_has_other_weights_and_their_digest(
    bundle: Path, tmp_path: Path
) -> None:
    files = read(bundle)
    model = bytearray(files["model.tflite"])
    buffers = (buffer.data for buffer in unpack(bytes(model)).buffers)
    weights = max((bytes(data) for data in buffers if data is not None), key=len)
    at = model.index(weights)
    model[at : at + len(weights)] = bytes(byte ^ 0x7F for byte in weights)
    error = refusal(
        write(tmp_path / "weights.tar.gz", listed({**files, "model.tflite": bytes(model)}))
    )
    assert error.code == "EK-BUNDLE-006"


def test_verify_runs_no_program_when_the_manifest_names_tensorflow(
    small: Files, tmp_path: Path
) -> None:
    files = listed(small, lambda m: m.update(runtimes=[{"name": "tensorflow"}]))
    outcome = verify(write(tmp_path / "program.tar.gz", files)).selftests
    assert outcome["tensorflow"].startswith("unavailable")


def test_verify_is_unavailable_when_no_runtime_ran_the_selftest(
    small: Files, tmp_path: Path
) -> None:
    files = listed(small, lambda m: m.update(runtimes=[{"name": "nosuch"}]))
    path = write(tmp_path / "untested.tar.gz", files)
    done = edgekit("verify", path, cwd=tmp_path)
    assert done.returncode == 3
    assert "not verified" in done.stderr
    assert "\nverified" not in done.stdout
    done = edgekit("verify", path, "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (3, "unavailable")


def _manifest(old: str, new: str) -> Callable[[bytes], bytes]:
    def change(text: bytes) -> bytes:
        assert old.encode() in text
        return text.replace(old.encode(), new.encode(), 1)

    return change


TOLERANCE = '"tolerance": 1e-06'


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_manifest(TOLERANCE, '"tolerance": 1e300'), "EK-BUNDLE-004"),
        (_manifest(TOLERANCE, '"tolerance": 23'), "EK-BUNDLE-007"),
        (_manifest(TOLERANCE, '"tolerance": Infinity'), "EK-BUNDLE-004"),
        (_manifest(TOLERANCE, '"tolerance": NaN'), "EK-BUNDLE-004"),
        (_manifest(TOLERANCE, '"tolerance": 1e400'), "EK-BUNDLE-004"),
        (_manifest(TOLERANCE, '"tolerance": -1'), "EK-BUNDLE-004"),
        (_manifest(TOLERANCE, '"tolerance": true'), "EK-BUNDLE-004"),
        (_manifest(TOLERANCE, '"tolerance": "0.1"'), "EK-BUNDLE-004"),
        (_manifest(TOLERANCE, '"tolerance": ' + "9" * 4000), "EK-BUNDLE-004"),
        (_manifest(TOLERANCE, '"tolerance": ' + "9" * 5000), "EK-BUNDLE-004"),
        (_manifest('"name": "probe"', '"name": "\\ud800"'), "EK-BUNDLE-004"),
        (_manifest('"name": "probe"', '"name": ' + "[" * 50_000 + "]" * 50_000), "EK-BUNDLE-004"),
        (_manifest('"name": "probe"', '"name": 3'), "EK-BUNDLE-004"),
        (_manifest('"version": "1"', '"version": null'), "EK-BUNDLE-004"),
        (_manifest('"name": "litert"', '"name": ["litert"]'), "EK-BUNDLE-004"),
        (_manifest('"labels": [', '"labels": [Infinity, '), "EK-BUNDLE-004"),
        (_manifest('"x": "golden/input_0.npy"', '"x": "golden"'), "EK-BUNDLE-004"),
    ],
    ids=lambda value: "" if callable(value) else None,
)
def test_verify_says_what_is_wrong_with_a_manifest_of_another_hand(
    small: Files, tmp_path: Path, change: Callable[[bytes], bytes], code: str
) -> None:
    text = json.dumps(json.loads(small[MANIFEST])).encode()
    path = write(tmp_path / "odd.tar.gz", {**small, MANIFEST: change(text)})
    assert refusal(path).code == code
    str(refusal(path)).encode()


@pytest.mark.parametrize(
    ("fault", "code"),
    [("changed", "EK-BUNDLE-005"), ("unsafe", "EK-BUNDLE-003"), ("missing", "EK-BUNDLE-001")],
)
def test_verify_ends_with_a_code_on_the_command_line(
    small: Files, tmp_path: Path, fault: str, code: str
) -> None:
    path = tmp_path / "faulty.tar.gz"
    if fault == "changed":
        write(path, {**small, "app.py": b"import os"})
    elif fault == "unsafe":
        write(path, small, regular(f"{ROOT}/../outside.txt"))
    done = edgekit("verify", path, cwd=tmp_path)
    # Nothing was verified where there is nothing: that is a mistake of the command.
    assert done.returncode == (2 if fault == "missing" else 1)
    assert f"error {code}:" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
