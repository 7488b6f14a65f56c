"""The web bundle: its files, and its page in headless Chromium, as its README says."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import app_models
import numpy as np
import pytest
from tflite_files import G, N, T, build

from conftest import edgekit, once
from edgekit.contracts.target import doubler
from edgekit.errors import BundleError
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS, Answers, Contents, pack, verify
from edgekit.targets.runners import recorder

TARGET = catalog.load("web-wasm")
PAGE = Path(__file__).with_name("web_page.mjs")
PUPPETEER = "puppeteer-core@24.43.1"
ROOT = "digits-0.1.0-web-wasm"
PRECISIONS = ("float32", "dynamic")
HEADERS = """
const [, url] = process.argv;
const page = await fetch(url);
const outside = await fetch(url + "..%2f..%2f..%2f..%2fetc%2fpasswd");
const missing = await fetch(url + "%E0%A4%A");
const headers = ["opener", "embedder"].map((k) => page.headers.get(`cross-origin-${k}-policy`));
console.log(JSON.stringify([page.status, outside.status, missing.status, ...headers]));
"""
browses = pytest.mark.skipif(
    not all(map(shutil.which, ("node", "npm", "chromium"))),
    reason="node, npm or chromium is not installed",
)


def labelled(folder: Path) -> Contents:
    contents = doubler(folder, ("a", "b", "c", "d"))
    golden = dataclasses.replace(contents.golden, answers=Answers("y", ("d", "d", "d")))
    return dataclasses.replace(contents, golden=golden)


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as opened:
        opened.extractall(folder)  # noqa: S202  (our own)
    (root,) = (one for one in folder.iterdir() if one.is_dir())
    return root


def test_bundle_has_the_model_once_and_javascript_beside_each_source(tmp_path: Path) -> None:
    archive = pack(TARGET, labelled(tmp_path), tmp_path / "bundle.tar.gz").path
    root = unpacked(archive, tmp_path / "there")
    assert [one.name for one in root.rglob("*.tflite")] == ["model.tflite"]
    sources = {one.stem for one in root.rglob("*.ts")}
    assert sources == {one.stem for one in root.rglob("*.js")}
    assert sources > {"app", "selftest", "model_spec", "golden_pairs", "values", "pictures"}
    package = json.loads((root / "package.json").read_text())
    assert package["dependencies"] == {"@litertjs/core": TARGET.runtimes[0].version}
    pairs = (root / "src" / "golden_pairs.js").read_text()
    assert '"tolerance": 1e-06' in pairs
    assert 'answers = [\n  "d",' in pairs
    assert "import" not in pairs
    assert "<title>doubler</title>" in (root / "index.html").read_text()
    # Its runtime is for npm to fetch.
    assert not list(root.rglob("*.wasm"))
    assert verify(archive).files


def test_bundle_is_refused_for_what_litert_js_does_not_feed(tmp_path: Path) -> None:
    contents = doubler(tmp_path)

    def graph(signature: str, **facts: Any) -> G:
        ends = [T(end, [1, 4], **facts) for end in ("x", "y")]
        return G(ends, [N("RELU", ["x"], ["y"], 2)], ["x"], ["y"], signature)

    graphs = {
        "'x' is int8": ([graph("a", dtype="INT8", scale=[0.5])], "int8-float-io"),
        # LiteRT.js opens every signature, whichever is to run.
        "'x' is int16": ([graph("a"), graph("b", dtype="INT16", scale=[0.5])], "uint8-io"),
        "'x' has a free one": ([graph("a", free=[-1, 4])], "--target web-wasm"),
    }
    for reason, (held, fix) in graphs.items():
        model = tmp_path / "refused.tflite"
        model.write_bytes(build(*held))
        with pytest.raises(BundleError, match=reason) as caught:
            LAYOUTS["web"].files(TARGET, dataclasses.replace(contents, model=model))
        assert caught.value.code == "EK-BUNDLE-026"
        assert fix in caught.value.hint


@pytest.fixture(scope="module")
def digits_pages(shared: Path, digits_run: Path) -> Path:
    """The bundles of the float32 and the int8-weight model, unpacked, below their precisions."""

    def make(folder: Path) -> None:
        project = digits_run / "project"
        for precision in PRECISIONS:
            (model,) = (project / "build" / "digits").glob(f"{precision}*/model.tflite")
            below = folder / precision
            shutil.copytree(project, below, ignore=shutil.ignore_patterns("build", "dist", ".*"))
            arguments = ("--target", "web", "--project", below / "edgekit.toml")
            done = edgekit("bundle", model, *arguments, cwd=below)
            assert done.returncode == 0, done.stderr
            unpacked(below / "dist" / f"{ROOT}.tar.gz", below / "page")

    return once(shared / "web-pages", make)


@pytest.fixture(scope="module")
def packages(shared: Path, digits_pages: Path) -> Path:
    """A folder with what the bundle's package.json names, and a driver of browsers."""

    def install(folder: Path) -> None:
        shutil.copy(digits_pages / "float32" / "page" / ROOT / "package.json", folder)
        shutil.copy(PAGE, folder)
        command = ["npm", "install", "--no-audit", "--no-fund", PUPPETEER]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode:
            (folder / "failed").write_text(done.stderr[-300:])

    folder = once(shared / "web-packages", install)
    if (folder / "failed").exists():
        pytest.skip(f"npm cannot install LiteRT.js: {(folder / 'failed').read_text()}")
    return folder


def page(digits_pages: Path, packages: Path, precision: str, folder: Path) -> Path:
    """A bundle of one's own, after `npm install`."""
    root = shutil.copytree(digits_pages / precision / "page" / ROOT, folder / precision)
    (root / "node_modules").symlink_to(packages / "node_modules")
    return root


@contextlib.contextmanager
def served(root: Path) -> Iterator[str]:
    command = ["node", "serve.mjs", "0"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def opened(root: Path, packages: Path, *acts: Path | str, query: str = "") -> dict[str, Any]:
    """What the page shows in Chromium, of these acts too; screenshots are beside it."""
    with served(root) as address:
        command = ["node", "web_page.mjs", shutil.which("chromium"), address + query]
        done = subprocess.run(
            [*map(str, command), str(root / "page.png"), *map(str, acts)],
            cwd=packages,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def check_recorded(text: str, root: Path, items: Any) -> None:
    """Hold the record of these items, and nothing else, against what Python counts of them."""
    record, golden = json.loads(text), json.loads((root / "monitoring.json").read_text())
    assert (record["golden"], record["n"], record["errors"]) == (golden["digest"], len(items), 0)
    window = recorder.Window(golden, 0.0)
    window.add({"image": items}, {}, ())
    for name, one in window.facts("", 0.0)["features"].items():
        if one["n"]:
            assert record["features"][name]["counts"] == one["counts"], name
    assert sum(record["classes"].values()) == record["latency"]["n"] == len(items)


def check_kept(text: str, items: Any) -> None:
    """Hold the raw items that were ticked and downloaded against those that were given."""
    head, *kept = map(json.loads, text.splitlines())
    assert (head["seen"], head["kept"], len(kept)) == (len(items),) * 3
    assert "personal data" in head["warning"]
    for one in kept:
        content = base64.b64decode(one["input"]["image"]["b64"])
        given = np.frombuffer(content, one["input"]["image"]["dtype"])
        assert (given == items[one["item"]].ravel()).all()


@pytest.mark.slow
@browses
@pytest.mark.parametrize("precision", PRECISIONS)
def test_page_passes_its_selftest_and_tells_latency_and_answers(
    digits_pages: Path, packages: Path, tmp_path: Path, precision: str
) -> None:
    from PIL import Image

    root = page(digits_pages, packages, precision, tmp_path)
    items = np.load(root / "golden" / "input_0.npy")
    scores = np.load(root / "golden" / "output_0.npy")
    drawing, listed = tmp_path / "digit.png", tmp_path / "items.json"
    Image.fromarray(items[1, :, :, 0].astype(np.uint8)).save(drawing)
    listed.write_text(json.dumps([{"image": items[2].tolist()}]))
    seen = opened(root, packages, root / "golden" / "input_0.npy", drawing, listed)
    assert seen["errors"] == []
    assert seen["state"] == "passed", seen
    assert seen["selftest"].startswith("self-test passed on 10 golden items\noutput output_0:")
    assert seen["isolated"]
    assert seen["runtime"] == "LiteRT.js 2.5.3, threads"
    assert seen["latency"] > 0
    assert seen["shownLatency"].startswith(f"p50 {seen['latency']:.4f} ms of 51 ")
    lines, picture, second = seen["answers"]
    best = [f"item {at}: {row.argmax()} {row.max():.3f}" for at, row in enumerate(scores)]
    # LiteRT.js may round the last digit another way.
    assert [line[:-2] for line in (one.split(",")[0] for one in lines.splitlines())] == [
        line[:-2] for line in best
    ]
    assert picture == lines.splitlines()[1].replace("item 1", "item 0")
    assert second == lines.splitlines()[2].replace("item 2", "item 0")
    assert seen["camera"].startswith("item 0: ")
    check_recorded(seen["recorded"], root, items)
    check_kept(seen["kept"], items)
    assert seen["again"] == lines
    assert Image.open(root / "page.png").size[0] >= 800
    assert opened(root, packages, query="?threads=1")["runtime"] == "LiteRT.js 2.5.3, no threads"


def own_page(contents: Contents, packages: Path, folder: Path) -> Path:
    """The page of any contents, after `npm install`."""
    archive = pack(TARGET, contents, folder / "bundle.tar.gz").path
    root = unpacked(archive, folder / "there")
    (root / "node_modules").symlink_to(packages / "node_modules")
    return root


@pytest.mark.slow
@browses
def test_page_draws_a_detectors_boxes_on_the_picture_and_lists_them(
    packages: Path, tmp_path: Path
) -> None:
    from PIL import Image

    root = own_page(app_models.detector(tmp_path), packages, tmp_path)
    picture = tmp_path / "quarters.png"
    Image.fromarray(app_models.quarters()).save(picture)
    seen = opened(root, packages, picture, root / "golden" / "input_0.npy", picture)
    assert (seen["state"], seen["errors"]) == ("passed", [])
    listed, every, _ = seen["answers"]
    assert listed.splitlines() == [
        "item 0: 2 of 12 boxes score 0.3 or more",
        "  red 0.966: across 0 to 50 %, down 0 to 50 %",
        "  blue 0.774: across 50 to 100 %, down 50 to 100 %",
    ]
    # The second golden item is the picture upside down.
    assert "red 0.980: across 0 to 50 %, down 50 to 100 %" in every.split("item 1")[1]
    # The picture's red and blue are on the page, and the frame of the red quarter.
    pixels = np.asarray(Image.open(root / "page.png").convert("RGB")).reshape(-1, 3).tolist()
    colors = {tuple(pixel) for pixel in pixels}
    assert {(250, 20, 20), (20, 20, 200), (7, 69, 131)} <= colors
    # A phone's width holds the page.
    assert seen["wide"] == [1280, 1280, 390, 390]


@pytest.mark.slow
@browses
def test_page_takes_numbers_pictures_and_files_for_each_of_several_inputs(
    packages: Path, tmp_path: Path
) -> None:
    from PIL import Image

    root = own_page(app_models.two_inputs(tmp_path), packages, tmp_path)
    picture, whole = tmp_path / "gray.png", tmp_path / "items.json"
    Image.new("L", (20, 20), 7).save(picture)
    whole.write_text(json.dumps([{"picture": [[[0]] * 8] * 8, "numbers": [1, 2, 3]}] * 2))
    acts = ("numbers:10, 20 30", "numbers:10, 20", "numbers:1 two 3", "numbers:1 2 3")
    files = (f"picture={picture}", f"numbers={root / 'golden' / 'input_1.npy'}", whole)
    seen = opened(root, packages, *acts, *files)
    assert seen["state"] == "passed", seen
    assert seen["answers"] == [
        # Until it is given, a picture is that of the first golden item: its mean is 31.5.
        "item 0: sums: 41.5000 51.5000 61.5000",
        "Error: input numbers takes 3 values, not 2",
        'Error: "two" is not a number',
        "item 0: sums: 32.5000 33.5000 34.5000",
        "item 0: sums: 8.00000 9.00000 10.0000",
        "item 0: sums: 8.00000 9.00000 10.0000\nitem 1: sums: 11.0000 12.0000 13.5000",
        "item 0: sums: 1.00000 2.00000 3.00000\nitem 1: sums: 1.00000 2.00000 3.00000",
    ]


@pytest.mark.slow
@browses
@pytest.mark.parametrize("made", ["carrying", "counting", "second_signature", "unsigned"])
def test_page_runs_states_one_signature_of_several_and_uint8_ends(
    packages: Path, tmp_path: Path, made: str
) -> None:
    contents: Contents = getattr(app_models, made)(tmp_path)
    root = own_page(contents, packages, tmp_path)
    seen = opened(root, packages, root / "golden" / "input_0.npy")
    assert seen["state"] == "passed", seen
    # A file is one stream.
    ends = {
        "carrying": ("y: 2.00000", "y: 28.3750"),
        "counting": ("y: 6.00000", "y: 18.0000"),
        "second_signature": ("z: 0.00000", "z: 8.00000"),
        "unsigned": ("y: 0.00000", "y: 8.00000"),
    }
    lines = seen["answers"][0].splitlines()
    assert ends[made][0] in lines[0]
    assert ends[made][1] in lines[-1]
    if contents.golden.streams:
        # Streams that begin elsewhere are seen.
        pairs = root / "src" / "golden_pairs.js"
        text = pairs.read_text()
        streams = json.dumps(list(contents.golden.streams), indent=2)
        assert streams in text
        pairs.write_text(text.replace(streams, "[0, 1]"))
        assert opened(root, packages)["state"] == "failed"


@pytest.mark.slow
@browses
def test_page_goes_red_for_another_golden_output_another_label_and_a_broken_file(
    digits_pages: Path, packages: Path, tmp_path: Path
) -> None:
    root = page(digits_pages, packages, "float32", tmp_path)
    outputs = np.load(root / "golden" / "output_0.npy")
    np.save(root / "golden" / "output_0.npy", outputs + np.float32(0.01))
    seen = opened(root, packages)
    assert seen["state"] == "failed"
    verdict, problem, *_ = seen["selftest"].splitlines()
    assert verdict == "self-test FAILED on 10 golden items"
    assert problem.startswith("output output_0 differs by 0.0")
    np.save(root / "golden" / "output_0.npy", outputs)
    spec = root / "src" / "model_spec.js"
    text = spec.read_text()
    assert '"3",\n' in text
    spec.write_text(text.replace('"3",\n', '"three",\n'))
    seen = opened(root, packages)
    assert seen["state"] == "failed"
    assert "is 3, and would be called three" in seen["selftest"]
    spec.write_text(text)
    (root / "golden" / "input_0.npy").write_bytes(b"not an array at all")
    seen = opened(root, packages)
    assert seen["selftest"] == "self-test FAILED: Error: not a .npy file"


@pytest.mark.slow
@browses
def test_server_sends_the_headers_that_threads_need_and_nothing_from_outside(
    digits_pages: Path, packages: Path, tmp_path: Path
) -> None:
    root = page(digits_pages, packages, "float32", tmp_path)
    with served(root) as address:
        command = ["node", "--input-type=module", "-e", HEADERS, address]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [200, 404, 404, "same-origin", "require-corp"]


def scripts(root: Path) -> dict[str, str]:
    """The JavaScript by name; of constants, without the head and the indentation."""
    texts = {one.name: one.read_text() for one in (root / "src").glob("*.js")}
    for name in ("model_spec.js", "golden_pairs.js", "monitoring_spec.js"):
        lines = (line.strip() for line in texts[name].splitlines() if "Made by" not in line)
        texts[name] = "\n".join(filter(None, lines))
    return texts


@pytest.mark.slow
@browses
def test_javascript_is_what_the_compiler_makes_of_the_sources(
    digits_pages: Path, packages: Path, tmp_path: Path
) -> None:
    root = page(digits_pages, packages, "float32", tmp_path)
    before = scripts(root)
    assert len(before) == 16
    # The compiler writes it anew: a file that it leaves alone would be seen.
    (root / "src" / "npy.js").write_text("")
    command = ["npm", "run", "build"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    # If not: copy what `npm run build` makes in a bundle to sample_apps/.
    assert scripts(root) == before
