"""Bundles: the same contents give the same bytes, verify goes red for every planted fault."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import itertools
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import edgekit, once
from edgekit.converters.quantization import editing
from edgekit.errors import BundleError
from edgekit.targets import catalog
from edgekit.targets.bundles import Contents, Golden, pack, verify
from edgekit.targets.bundles.archive import MANIFEST
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Preprocess, TensorSpec

Files = dict[str, bytes]
ROOT = "root"
RUNTIMES = [
    "litert",
    pytest.param(
        "tflite-runtime",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("tflite_runtime") is None,
            reason="tflite-runtime has no wheel for this Python",
        ),
    ),
]


@pytest.fixture(scope="session")
def bundle(digits_run: Path) -> Path:
    """The bundle of the example project."""
    (path,) = (digits_run / "project" / "dist").glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def unpacked(shared: Path, bundle: Path) -> Path:
    """Its one folder, unpacked. Read only."""

    def make(folder: Path) -> None:
        with tarfile.open(bundle) as archive:
            archive.extractall(folder)  # noqa: S202  (our own)

    (root,) = once(shared / "unpacked-bundle", make).iterdir()
    return root


def probe_contents(tmp_path: Path) -> Contents:
    """The contents of a bundle around the probe."""
    model = tmp_path / "probe.tflite"
    model.write_bytes(probe_model())
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Contents(
        name="probe",
        version="1",
        model=model,
        precision="float32",
        inputs=(TensorSpec("x", (None, 4), "float32"),),
        outputs=(TensorSpec("y", (1, 4), "float32"),),
        preprocess=Preprocess(),
        labels=("a", "b", "c", "d"),
        golden=Golden({"x": x}, {"y": 2 * x}, {"y": 1e-6}),
        measurements={},
        tools={},
    )


@pytest.fixture
def small(tmp_path: Path) -> Files:
    """The files of its bundle, to plant faults in."""
    target, contents = catalog.load("linux-x86_64"), probe_contents(tmp_path)
    return read(pack(target, contents, tmp_path / "small.tar.gz").path)


def read(path: Path) -> Files:
    """A bundle's files by their path below its root."""
    with tarfile.open(path) as archive:
        return {
            member.name.partition("/")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
        }


def regular(name: str, content: bytes = b"") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def special(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, b""


def write(path: Path, files: Files, *more: tuple[tarfile.TarInfo, bytes], root: str = ROOT) -> Path:
    """An archive of files below ``root``, and of further entries as they are."""
    with tarfile.open(path, "w:gz") as archive:
        for member, content in [*(regular(f"{root}/{n}", c) for n, c in files.items()), *more]:
            archive.addfile(member, io.BytesIO(content))
    return path


def listed(files: Files, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Files:
    """The files with a manifest that names their digests, changed."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
        if name != MANIFEST
    }
    change(manifest)
    return {**files, MANIFEST: json.dumps(manifest).encode()}


def refusal(path: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        verify(path)
    assert caught.value.exit_code == (2 if caught.value.code == "EK-BUNDLE-001" else 1)
    return caught.value


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
    small: Files, unpacked: Path, tmp_path: Path
) -> None:
    model = (unpacked / "model.tflite").read_bytes()
    error = refusal(write(tmp_path / "swapped.tar.gz", listed({**small, "model.tflite": model})))
    assert error.code == "EK-BUNDLE-010"


def test_verify_goes_red_when_the_model_has_other_weights_and_their_digest(
    bundle: Path, tmp_path: Path
) -> None:
    files = read(bundle)
    model = bytearray(files["model.tflite"])
    # Weights lie at the end of the converter's files, or just before the operator codes.
    rng = np.random.default_rng(5)
    for at in rng.integers(len(model) // 4, len(model) // 2, 200):
        model[at] ^= 0x7F
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


def app(folder: Path, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a bundle's app as its README says, with this interpreter."""
    return subprocess.run(
        [sys.executable, "app.py", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_app_passes_its_selftest(unpacked: Path, runtime: str) -> None:
    done = app(unpacked, "selftest", "--runtime", runtime)
    assert done.returncode == 0, done.stderr
    assert f"on {runtime} " in done.stdout
    assert "self-test passed on 10 golden items" in done.stdout


def test_app_fails_its_selftest_when_a_golden_output_is_changed(
    unpacked: Path, tmp_path: Path
) -> None:
    folder = copied(unpacked, tmp_path)
    (output,) = folder.glob("golden/output_*.npy")
    np.save(output, np.load(output) + 0.25)
    done = app(folder, "selftest")
    assert done.returncode == 1
    assert "self-test FAILED" in done.stdout


def test_selftest_goes_red_when_any_two_classes_change_places(
    bundle: Path, unpacked: Path, tmp_path: Path
) -> None:
    manifest = json.loads((unpacked / MANIFEST).read_text())
    (golden,) = manifest["golden"]["outputs"].values()
    values = np.load(unpacked / golden["file"])
    assert set(values.argmax(axis=1)) == set(range(10)), "a golden item of every class"
    for pair in itertools.combinations(range(10), 2):
        swapped = values.copy()
        swapped[:, pair] = swapped[:, pair[::-1]]
        assert np.abs(swapped - values).max() > golden["tolerance"], pair
    content = io.BytesIO()
    np.save(content, swapped)
    files = listed({**read(bundle), golden["file"]: content.getvalue()})
    assert refusal(write(tmp_path / "swapped.tar.gz", files)).code == "EK-BUNDLE-006"


def swapped_classes(content: bytes) -> bytes:
    """The model with the first two rows of its last dense layer, and of its bias, exchanged."""
    model = editing.unpack(content)
    last = [
        step.operator for step in editing.main_operators(model) if step.kind == "FULLY_CONNECTED"
    ][-1]
    for position in (1, 2):
        tensor = model.subgraphs[0].tensors[last.inputs[position]]
        rows = editing.constant(model, tensor)
        assert rows is not None
        rows[[0, 1]] = rows[[1, 0]]
        editing.set_input(model, last, position, rows)
        found = tensor.quantization
        if found is not None and found.scale is not None and len(found.scale) > 1:
            found.scale[[0, 1]] = found.scale[[1, 0]]
    return editing.pack(model)


def test_verify_and_the_app_go_red_when_the_model_exchanges_two_classes(
    bundle: Path, unpacked: Path, tmp_path: Path
) -> None:
    files = read(bundle)
    model = swapped_classes(files["model.tflite"])
    found = edgekit(
        "verify",
        write(tmp_path / "swapped.tar.gz", listed({**files, "model.tflite": model})),
        cwd=tmp_path,
    )
    assert found.returncode == 1
    assert "EK-BUNDLE-006" in found.stderr
    folder = copied(unpacked, tmp_path)
    (folder / "model.tflite").write_bytes(model)
    done = app(folder, "selftest")
    assert done.returncode == 1
    assert "self-test FAILED" in done.stdout


EXCHANGING = """
def decode(value, info):
    numbers = plain_decode(value, info)
    numbers[..., [0, 1]] = numbers[..., [1, 0]]
    return numbers


"""


def test_the_app_goes_red_when_its_code_exchanges_two_classes(
    unpacked: Path, tmp_path: Path
) -> None:
    folder = copied(unpacked, tmp_path)
    code = (folder / "python_runner.py").read_text()
    planted = code.replace("def decode(", f"{EXCHANGING}def plain_decode(", 1)
    assert planted != code
    (folder / "python_runner.py").write_text(planted)
    done = app(folder, "selftest")
    assert done.returncode == 1
    assert "self-test FAILED" in done.stdout


def test_selftest_goes_red_when_two_labels_change_places(
    bundle: Path, unpacked: Path, tmp_path: Path
) -> None:
    def swap(manifest: dict[str, Any]) -> None:
        labels = manifest["labels"]
        labels[3], labels[7] = labels[7], labels[3]

    files = listed(read(bundle), swap)
    caught = refusal(write(tmp_path / "swapped.tar.gz", files))
    assert caught.code == "EK-BUNDLE-006"
    assert "the labels do not give the golden items' answers" in caught.message
    folder = copied(unpacked, tmp_path)
    (folder / MANIFEST).write_bytes(files[MANIFEST])
    done = app(folder, "selftest")
    assert done.returncode == 1
    assert "is 3, and would be called 7" in done.stdout
    assert "self-test FAILED" in done.stdout


def copied(unpacked: Path, tmp_path: Path) -> Path:
    """A copy to write in."""
    return Path(shutil.copytree(unpacked, tmp_path / "copy"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_app_prints_its_latency(unpacked: Path, runtime: str) -> None:
    done = app(unpacked, "bench", "--runtime", runtime)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("latency")]
    words = line.split()
    assert words[1] == "p50"
    assert 0 < float(words[2]) <= float(words[5])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_app_classifies_digits(unpacked: Path, digits: Path, tmp_path: Path, runtime: str) -> None:
    test = np.load(digits / "test.npz")
    np.save(tmp_path / "items.npy", test["x"][:30])
    done = app(unpacked, "classify", tmp_path / "items.npy", "--top", 1, "--runtime", runtime)
    assert done.returncode == 0, done.stderr
    named = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("item ")]
    assert len(named) == 30
    assert np.mean(np.array(named) == test["y"][:30].astype(str)) > 0.85


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8), (64,), (1, 8, 8, 1)])
def test_app_classifies_a_single_item_in_any_of_its_shapes(
    unpacked: Path, digits: Path, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    np.save(tmp_path / "item.npy", np.load(digits / "test.npz")["x"][0].reshape(shape))
    done = app(unpacked, "classify", tmp_path / "item.npy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("item ") == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("missing", "missing.npy"),
        ("wide", "[8, 8, 1]"),
        ("flat", "[8, 8, 1]"),
        ("scalar", "[8, 8, 1]"),
        ("empty", "no items"),
        ("text", "pickle"),
        ("words", "<U5"),
        ("npz", ".npy"),
        ("folder", "directory"),
    ],
)
def test_app_says_in_one_line_what_is_wrong_with_the_items(
    unpacked: Path, tmp_path: Path, fault: str, said: str
) -> None:
    path = tmp_path / "items.npy"
    arrays = {
        "wide": np.zeros((3, 9, 8, 1), np.uint8),
        "flat": np.zeros(63),
        "scalar": np.float32(1),
        "empty": np.zeros((0, 8, 8, 1), np.uint8),
        "words": np.full((2, 8, 8, 1), "seven"),
    }
    if fault in arrays:
        np.save(path, arrays[fault])
    elif fault == "text":
        path.write_text("not an array")
    elif fault == "npz":
        with path.open("wb") as file:
            np.savez(file, x=np.zeros((2, 8, 8, 1)))
    elif fault == "folder":
        path.mkdir()
    else:
        path = tmp_path / "missing.npy"
    done = app(unpacked, "classify", path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_app_classifies_pictures_as_it_does_their_pixels(
    unpacked: Path, digits: Path, tmp_path: Path, suffix: str
) -> None:
    items = np.load(digits / "test.npz")["x"][:3].reshape(3, 8, 8)
    np.save(tmp_path / "items.npy", items)
    paths = [tmp_path / f"{number}.{suffix}" for number in range(3)]
    for path, item in zip(paths, items, strict=True):
        Image.fromarray(item.astype(np.uint8)).save(path)
    done = app(unpacked, "classify", *paths)
    assert done.returncode == 0, done.stderr
    assert done.stdout == app(unpacked, "classify", tmp_path / "items.npy").stdout
    assert "measured on arrays, not on pictures" in done.stderr


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["cut.png"], "cannot be read as a picture"),
        (["deep.png"], "more than 8 bits"),
        (["missing.jpg"], "missing.jpg"),
        (["photo.heic"], "no picture (.png"),
        (["fine.png", "items.npy"], "one .npy file, or pictures alone"),
    ],
)
def test_app_says_which_picture_it_cannot_take(
    unpacked: Path, tmp_path: Path, names: list[str], said: str
) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "fine.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "fine.png").read_bytes()[:40])
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "photo.heic").write_bytes(b"ftypheic")
    done = app(unpacked, "classify", *(tmp_path / name for name in names))
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_app_names_pillow_where_it_is_missing(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules.update(PIL=None)\n")
    bare = {"PYTHONPATH": str(tmp_path), "PATH": ""}
    done = app(unpacked, "classify", tmp_path / "photo.jpg", env=bare)
    assert done.returncode == 1
    assert "pip install pillow" in done.stderr
    assert "Traceback" not in done.stderr
    assert app(unpacked, "selftest", env=bare).returncode == 0


def test_app_refuses_a_runtime_that_the_target_does_not_name(unpacked: Path) -> None:
    done = app(unpacked, "classify", "items.npy", "--runtime", "nonsense")
    assert done.returncode == 2
    assert "litert" in done.stderr
    assert "Traceback" not in done.stderr


def test_app_names_every_runtime_that_is_missing(unpacked: Path, tmp_path: Path) -> None:
    bare = "import sys; sys.modules.update(ai_edge_litert=None, tflite_runtime=None)\n"
    (tmp_path / "sitecustomize.py").write_text(bare)
    done = app(unpacked, "selftest", env={"PYTHONPATH": str(tmp_path), "PATH": ""})
    assert done.returncode == 1
    assert "pip install ai-edge-litert" in done.stderr
    assert "tflite-runtime" in done.stderr
    assert "Traceback" not in done.stderr
