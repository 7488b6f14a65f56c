"""Signatures, and what verify refuses: every kind of tampering is planted once."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_files import listed, probe_contents, read, regular, special, write

from conftest import answer
from edgekit import api
from edgekit.errors import BundleError, ProjectError
from edgekit.project import Project
from edgekit.targets import bundles, catalog
from edgekit.targets.bundles import Family, Licence, pack, verify
from edgekit.targets.bundles.archive import MANIFEST, SIGNATURE


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A key of ours and one of somebody else's."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        bundles.new_key(folder / name)
    return {name: folder / name for name in ("ours", "theirs")}


def trusted(key: Path) -> bundles.TrustedKey:
    return bundles.read_trusted(key.with_name(key.name + ".pub"))


def signed(folder: Path, key: Path | None, **more: Any) -> Path:
    contents = replace(probe_contents(folder), **more)
    found = bundles.read_key(key) if key else None
    return pack(catalog.load("linux-x86_64"), contents, folder / "signed.tar.gz", key=found).path


def refused(path: Path, *keys: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        verify(path, [trusted(key) for key in keys])
    assert caught.value.exit_code == 1
    return caught.value


def test_a_private_key_is_its_owners_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    done = answer("keys", "new", "k.pem", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "k.pem").stat().st_mode & 0o777 == 0o600
    assert bundles.read_trusted(tmp_path / "k.pem.pub").fingerprint in done.stdout
    before = (tmp_path / "k.pem").read_bytes()
    done = answer("keys", "new", "k.pem", cwd=tmp_path)
    assert (done.returncode, "EK-KEY-002" in done.stderr) == (2, True)
    assert (tmp_path / "k.pem").read_bytes() == before


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAA==\n"])
def test_a_file_that_is_no_key_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "k").write_text(content)
    for read_one in (bundles.read_key, bundles.read_trusted):
        with pytest.raises(ProjectError, match="EK-KEY-001"):
            read_one(tmp_path / "k")


def test_a_public_key_cannot_sign_and_a_private_one_is_not_trusted(keys: dict[str, Path]) -> None:
    with pytest.raises(ProjectError, match="EK-KEY-001"):
        bundles.read_key(keys["ours"].with_name("ours.pub"))
    with pytest.raises(ProjectError, match="EK-KEY-001"):
        bundles.read_trusted(keys["ours"])


def test_a_signed_bundle_is_verified_and_has_the_same_bytes_twice(
    keys: dict[str, Path], tmp_path: Path
) -> None:
    path = signed(tmp_path, keys["ours"])
    before = path.read_bytes()
    assert signed(tmp_path, keys["ours"]).read_bytes() == before
    found = verify(path, [trusted(keys["theirs"]), trusted(keys["ours"])])
    assert (found.signer, found.trusted) == (trusted(keys["ours"]).fingerprint, True)
    found = verify(path)
    assert (found.signer, found.trusted) == (trusted(keys["ours"]).fingerprint, False)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_checks_the_signature(keys: dict[str, Path], tmp_path: Path) -> None:
    files = read(signed(tmp_path, keys["ours"]))
    for name in (MANIFEST, SIGNATURE):
        (tmp_path / name).write_bytes(files[name])
    public = keys["ours"].with_name("ours.pub")
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"]
    words += ["-in", MANIFEST, "-sigfile", SIGNATURE]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_missing_or_foreign_signature_is_refused_where_one_is_required(
    keys: dict[str, Path], tmp_path: Path
) -> None:
    assert refused(signed(tmp_path, None), keys["ours"]).code == "EK-BUNDLE-009"
    error = refused(signed(tmp_path, keys["theirs"]), keys["ours"])
    assert error.code == "EK-BUNDLE-011"
    assert trusted(keys["ours"]).fingerprint in error.hint


def test_tampering_with_a_signed_bundle_is_refused(keys: dict[str, Path], tmp_path: Path) -> None:
    files = read(signed(tmp_path, keys["ours"]))
    path = tmp_path / "changed.tar.gz"
    # A file and its digest, as whoever knows the format would change them.
    changed = listed({n: c for n, c in files.items() if n != SIGNATURE} | {"labels.txt": b"x\n"})
    changed[SIGNATURE] = files[SIGNATURE]
    assert refused(write(path, changed), keys["ours"]).code == "EK-BUNDLE-011"
    assert refused(write(path, changed)).code == "EK-BUNDLE-011"
    # The signature cut off, with and without the key that the manifest names.
    bare = {name: content for name, content in files.items() if name != SIGNATURE}
    assert refused(write(path, bare), keys["ours"]).code == "EK-BUNDLE-009"
    assert refused(write(path, bare)).code == "EK-BUNDLE-011"
    # One bit of the signature.
    bent = bytes([files[SIGNATURE][0] ^ 1]) + files[SIGNATURE][1:]
    assert refused(write(path, {**files, SIGNATURE: bent})).code == "EK-BUNDLE-011"
    # A signature without a key in the manifest.
    anonymous = listed(files, lambda manifest: manifest.pop("signer"))
    del (only := json.loads(anonymous[MANIFEST]))["files"][SIGNATURE]
    anonymous[MANIFEST] = json.dumps(only).encode()
    assert refused(write(path, anonymous)).code == "EK-BUNDLE-011"


def test_without_a_signature_verify_says_what_it_cannot_detect(tmp_path: Path) -> None:
    files = read(signed(tmp_path, None))
    path = write(tmp_path / "forged.tar.gz", listed({**files, "README.md": b"forged"}))
    done = answer("verify", path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not signed: if somebody changed a file and its digest" in done.stdout


@pytest.mark.hostile
def test_an_archive_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    files = read(signed(tmp_path, None))
    path = write(tmp_path / "bomb.tar.gz", {**files, "zeros": bytes(80 << 20)})
    assert path.stat().st_size < 1 << 20
    assert refused(path).code == "EK-BUNDLE-008"
    tail = tmp_path / "tail.tar.gz"
    with tarfile.open(tail, "w:gz") as archive:
        archive.addfile(regular("root/a")[0])
    tail.write_bytes(gzip.compress(gzip.decompress(tail.read_bytes()) + bytes(80 << 20)))
    assert refused(tail).code == "EK-BUNDLE-008"


@pytest.mark.hostile
def test_a_nested_gzip_and_a_sparse_file_are_refused(tmp_path: Path) -> None:
    path = signed(tmp_path, None)
    nested = tmp_path / "nested.tar.gz"
    nested.write_bytes(gzip.compress(path.read_bytes()))
    assert refused(nested).code == "EK-BUNDLE-002"
    member, content = special("root/sparse", tarfile.GNUTYPE_SPARSE)
    assert refused(write(tmp_path / "sparse.tar.gz", read(path), (member, content))).code in (
        "EK-BUNDLE-002",
        "EK-BUNDLE-003",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["model"].update(precision="int8"), "the manifest says int8"),
        (lambda m: m["model"]["inputs"]["x"].update(shape=[1, 5]), "input 'x'"),
        (lambda m: m["model"]["outputs"].update(z=m["model"]["outputs"]["y"]), "outputs"),
    ],
    ids=["precision", "size", "names"],
)
def test_a_model_that_is_not_the_manifests_is_refused(
    tmp_path: Path, change: Any, words: str
) -> None:
    files = read(signed(tmp_path, None))
    error = refused(write(tmp_path / "other.tar.gz", listed(files, change)))
    assert (error.code, words in error.hint) == ("EK-BUNDLE-010", True), error


def test_verify_runs_the_selftest_on_every_device_that_is_named(tmp_path: Path) -> None:
    path = signed(tmp_path, None)
    found = api.verify(path, devices=["local:litert"])
    assert found.selftests == {"local:litert": "passed on 3 golden items"}
    done = answer("verify", path, "--device", "local:litert", "--device", "nothing", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    away = "ssh://nobody@127.0.0.1:1"
    done = answer("verify", path, "--device", "local:litert", "--device", away, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "self-test on local:litert: passed" in done.stdout


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["gate"].pop("status"),
        lambda m: m.update(size={"model": 1}),
        lambda m: m["measurements"].update(accuracy={"value": 1}),
        lambda m: m["golden"]["runtimes"].append({"name": "tflm"}),
        lambda m: m.update(licence="MIT"),
    ],
)
def test_a_manifest_that_is_not_of_its_schema_is_refused(tmp_path: Path, change: Any) -> None:
    files = read(signed(tmp_path, None))
    error = refused(write(tmp_path / "other.tar.gz", listed(files, change)))
    assert error.code == "EK-BUNDLE-004"


def test_a_phones_bundle_is_tested_on_the_runtime_of_its_golden_pairs(tmp_path: Path) -> None:
    runtimes = [{"name": "litert-android"}]
    files = listed(
        read(signed(tmp_path, None)), lambda manifest: manifest.update(runtimes=runtimes)
    )
    found = verify(write(tmp_path / "phone.tar.gz", files))
    assert found.selftests["litert"] == "passed on 3 golden items"
    assert found.selftests["litert-android"].startswith("unavailable")


def test_a_bundle_says_its_licence_and_holds_the_users_files(tmp_path: Path) -> None:
    more = {"licence": Licence("MIT"), "extra_files": {"notes/a.txt": b"a"}}
    files = read(signed(tmp_path, None, **more))
    assert files["notes/a.txt"] == b"a"
    assert files["LICENSE.txt"].startswith(b"MIT\n")
    manifest = json.loads(files[MANIFEST])
    assert manifest["licence"] == {"spdx": "MIT", "file": "LICENSE.txt"}
    sbom = json.loads(files["sbom.cdx.json"])
    (model,) = (one for one in sbom["components"] if one["name"] == "model.tflite")
    assert model["licenses"] == [{"license": {"id": "MIT"}}]
    assert "timestamp" not in sbom["metadata"]
    for name in ("manifest.json", "model.tflite", "MODEL_CARD.md"):
        with pytest.raises(ProjectError, match="EK-PROJECT-075"):
            signed(tmp_path, None, extra_files={name: b""})


def test_the_bill_of_materials_is_valid_cyclonedx(tmp_path: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    for licence in (Licence("MIT OR Apache-2.0"), Licence(text="ask us"), Licence()):
        text = read(signed(tmp_path, None, licence=licence))["sbom.cdx.json"].decode()
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    packages = {one.get("purl") for one in json.loads(text)["components"]}
    assert "pkg:pypi/ai-edge-litert@2.3.0" in packages


def test_the_model_card_says_what_was_not_measured(tmp_path: Path) -> None:
    measured = {"value": 0.9, "unit": "1", "how": "measured", "n": 3, "low": 0.8, "high": 1.0}
    missing = {"value": None, "unit": "ns", "how": "unavailable", "reason": "nobody timed it"}
    figures = {"accuracy": measured, "latency_p50_on_build_host": missing}
    card = read(signed(tmp_path, None, measurements=figures))["MODEL_CARD.md"].decode()
    assert "| accuracy | 0.9 1 | 0.8 to 1 | measured | 3 |" in card
    assert "unavailable, because nobody timed it" in card
    assert "licence | unavailable" in card
    assert "Nothing: accuracy, latency" in read(signed(tmp_path, None))["MODEL_CARD.md"].decode()


def test_golden_outputs_of_other_runtimes_are_in_the_bundle(tmp_path: Path) -> None:
    golden = probe_contents(tmp_path).golden
    theirs = {"y": golden.outputs["y"] + np.float32(1e-7)}
    family = Family("tflm", "1", theirs, {"y": 1e-7})
    files = read(signed(tmp_path, None, golden=replace(golden, families=(family,))))
    told = json.loads(files[MANIFEST])["golden"]["runtimes"][1]
    assert (told["name"], told["outputs"]["y"]["difference"]) == ("tflm", 1e-7)
    assert told["outputs"]["y"]["file"] in files


def test_a_bundle_is_hardly_larger_than_what_it_holds(tmp_path: Path) -> None:
    path = signed(tmp_path, None)
    size = json.loads(read(path)[MANIFEST])["size"]
    assert sum(size.values()) == sum(
        len(content) for name, content in read(path).items() if name != MANIFEST
    )
    held = size["model"] + size["golden"] + size["app"]
    assert path.stat().st_size <= 1.03 * held + 200_000


def test_wrong_names_in_the_bundle_table_are_refused(tmp_path: Path) -> None:
    from edgekit.pipeline.app_table import with_app
    from edgekit.pipeline.bundle_kinds import kinds_of

    contents = probe_contents(tmp_path)

    def table(**bundle: Any) -> Project:
        return Project.parse({"model": {"source": "m.tflite"}, "bundle": bundle}, tmp_path)

    (tmp_path / "OURS").write_text("ask us")
    found = with_app(contents, table(licence="OURS", app_id="org.us.app", extra_files=["OURS"]))
    assert (found.licence.text, found.app, found.code_name) == ("ask us", "org.us.app", "probe")
    assert found.extra_files == {"OURS": b"ask us"}
    for wrong, code in (
        ({"licence": "no licence"}, "073"),
        ({"extra_files": ["absent"]}, "074"),
        ({"extra_files": ["../"]}, "074"),
    ):
        with pytest.raises(ProjectError, match=f"EK-PROJECT-{code}"):
            with_app(contents, table(**wrong))
    with pytest.raises(ProjectError, match="EK-PROJECT-072"):
        kinds_of(catalog.load("linux-x86_64"), ("linux-pyton",))
    with pytest.raises(ProjectError, match="app_id"):
        table(app_id="one")
