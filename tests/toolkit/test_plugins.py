"""What another package adds, installed as users do and used from the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import answer, brief, edgekit, once
from edgekit import Project, doctor, plugins
from edgekit.errors import PluginError, ProjectError
from edgekit.evaluation.metrics import METRICS
from edgekit.project.compress import PluginTable
from edgekit.sources import code_version
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Status

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs/extend.md"
METRIC = "edgekit.metrics"


def files_of(page: str) -> Mapping[str, str]:
    """The files that a page shows: a name in a line of its own, then a block."""
    return dict(re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", page, re.M | re.S))


@pytest.fixture(scope="session")
def solar(shared: Path) -> Path:
    """The folder that the package of the guide is installed into, beside a model and its items."""

    def make(folder: Path) -> None:
        for name, content in files_of(GUIDE.read_text()).items():
            path = folder / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-index",
                "--no-deps",
                "--no-build-isolation",
                "--target",
                folder / "site",
                folder / "source",
            ],
            check=True,
        )
        (folder / "doubler.tflite").write_bytes(probe_model())
        x = np.random.default_rng(0).random((40, 4), np.float32)
        off = np.where(np.arange(40)[:, None] < 10, 0.5, 0.05).astype(np.float32)
        np.savez(folder / "items.npz", x=x, y=2 * x + off)

    return once(shared / "solar", make)


@pytest.fixture
def installed(solar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the guide's package."""
    monkeypatch.setenv("PYTHONPATH", str(solar / "site"))


@pytest.mark.usefixtures("installed")
def test_metric_runner_and_transport_of_another_package_are_used(
    solar: Path, tmp_path: Path
) -> None:
    done = edgekit(
        "evaluate",
        solar / "doubler.tflite",
        "--data",
        solar / "items.npz",
        "--json",
        "--metric",
        "within_tenth",
        "--device",
        "local:solar",
        "--device",
        "sun://barn",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["models"]
    assert [row["device"] for row in rows] == ["local:solar", "sun://barn"]
    assert [row["metric"]["value"] for row in rows] == [0.75, 0.75]
    refused = edgekit("devices", "list", "sun://", cwd=tmp_path)
    assert (refused.returncode, "SOLAR-001" in refused.stderr + refused.stdout) == (2, True)


@pytest.mark.usefixtures("installed")
def test_target_and_bundle_of_another_package_are_used(solar: Path, tmp_path: Path) -> None:
    done = brief(
        "convert",
        solar / "doubler.tflite",
        "--as-is",
        "--data",
        solar / "items.npz",
        "--metric",
        "within_tenth",
        "--target",
        "solar-roof",
        "--json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (bundle,) = (tmp_path / "dist").iterdir()
    with tarfile.open(bundle) as archive:
        (name,) = (one for one in archive.getnames() if one.endswith("/README.txt"))
        read = archive.extractfile(name)
        assert read is not None
        assert read.read() == b"doubler for Controller of a solar roof\n"
    assert edgekit("verify", bundle, cwd=tmp_path).returncode == 0
    assert (
        "Controller of a solar roof"
        in edgekit("targets", "show", "solar-roof", cwd=tmp_path).stdout
    )


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_scheme_of_another_package_compresses(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import keras\n\ndef build():\n"
        "    image = keras.Input((8, 8, 1), name='image')\n"
        "    layers = keras.layers.Flatten(), keras.layers.Dense(10, activation='softmax')\n"
        "    model = keras.Sequential([image, *layers])\n"
        "    model.compile('adam', 'sparse_categorical_crossentropy')\n    return model\n"
    )
    (tmp_path / "edgekit.toml").write_text(
        "schema = 1\n[model]\nname = 'small'\nsource = 'model.py:build'\n"
        "[train]\nepochs = 1\n[compress]\nfinetune_epochs = 0\ngrid = { step = 0.125 }\n"
        f"[data]\ntrain = '{digits / 'train.npz'}'\nevaluate = '{digits / 'test.npz'}'\n"
    )
    done = brief("compress", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (scheme,) = json.loads(done.stdout)["compression"]["schemes"]
    assert (scheme["scheme"], scheme["requested"]) == ("grid", "step 0.125")
    assert scheme["layers"][0]["unique"] < 20


Plug = Callable[..., None]


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """Make packages with entry points, installed in this process: ``broken_kit.py`` is theirs."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "broken_kit.py").write_text(
        "from pathlib import Path\n"
        "from edgekit.evaluation.metrics import METRICS\n"
        "ROWS, RIGHT = {}, METRICS['accuracy']\n"
        "BOARD = Path(__file__).with_name('board.toml')\n"
    )
    (site / "raising_kit.py").write_text("raise ImportError('no solar panel')\n")
    (site / "board.toml").write_text("title = 'Board'\n")
    monkeypatch.syspath_prepend(site)

    def make(group: str, distribution: str = "broken-kit", **entries: str) -> None:
        folder = site / f"{distribution.replace('-', '_')}-0.3.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.3\n"
        )
        lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
        (folder / "entry_points.txt").write_text(f"[{group}]\n{lines}")
        plugins.installed.cache_clear()

    yield make
    plugins.installed.cache_clear()


@pytest.mark.parametrize(
    ("value", "code", "why"),
    [
        ("raising_kit:X", "EK-PLUGIN-001", "importing it raised ImportError: no solar panel"),
        ("absent_kit:X", "EK-PLUGIN-001", "importing it raised ModuleNotFoundError: No module"),
        ("broken_kit:X", "EK-PLUGIN-001", "importing it raised AttributeError"),
        ("broken_kit:ROWS", "EK-PLUGIN-002", "broken_kit:ROWS is a dict, not a edgekit.evaluation"),
        ("broken_kit:RIGHT", "EK-PLUGIN-002", "broken_kit:RIGHT calls itself 'accuracy'"),
    ],
)
def test_broken_plugin_is_named_and_stops_nothing_else(
    plug: Plug, value: str, code: str, why: str
) -> None:
    plug(METRIC, ghost=value)
    with pytest.raises(PluginError) as caught:
        METRICS["ghost"]
    error = caught.value
    assert error.code == code
    title = f"plug-in 'ghost' of {METRIC} ({value}, in broken-kit 0.3)"
    assert error.message == f"{title} cannot be used"
    assert error.hint.startswith(why)
    assert "pip uninstall broken-kit" in error.hint
    assert "ghost" in METRICS
    assert METRICS["accuracy"].name == "accuracy"
    assert "ghost" not in METRICS.working()
    assert "accuracy" in METRICS.working()
    (finding,) = doctor.plugged()
    assert (finding.name, finding.version) == ("metrics: ghost", "broken-kit 0.3")
    assert (finding.status, finding.needed) == (Status.FAILED, False)
    assert finding.message.startswith(why)


def test_name_of_edgekits_own_is_not_replaced(plug: Plug) -> None:
    plug(METRIC, accuracy="raising_kit:X")
    assert METRICS["accuracy"].name == "accuracy"
    assert [*METRICS].count("accuracy") == 1
    (finding,) = doctor.plugged()
    assert finding.status is Status.FAILED
    assert "'accuracy' is a name of edgekit's own" in finding.message


def test_two_plugins_of_one_name_are_both_named(plug: Plug) -> None:
    plug(METRIC, ghost="broken_kit:RIGHT")
    plug(METRIC, "other-kit", ghost="broken_kit:RIGHT")
    with pytest.raises(PluginError, match="EK-PLUGIN-003") as caught:
        METRICS["ghost"]
    assert "broken-kit 0.3" in caught.value.message
    assert "other-kit 0.3" in caught.value.hint


def test_command_that_needs_a_broken_plugin_says_so_and_others_go_on(
    plug: Plug, tmp_path: Path
) -> None:
    plug("edgekit.targets", board="broken_kit:BOARD")
    listed = answer("targets", cwd=tmp_path)
    assert listed.returncode == 0
    assert "linux-x86_64" in listed.stdout
    assert "plug-in 'board' of edgekit.targets" in listed.stderr
    shown = answer("targets", "show", "board", cwd=tmp_path)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "error EK-PLUGIN-002: plug-in 'board'" in shown.stderr
    assert "it does not hold what it must: KeyError: 'runtimes'" in shown.stderr


def test_scheme_of_a_plugin_has_a_table_of_its_own(plug: Plug, tmp_path: Path) -> None:
    plug("edgekit.schemes", grid="raising_kit:X", prune="raising_kit:X")
    table: dict[str, Any] = {
        "model": {"source": "m.keras"},
        "compress": {"grid": {"step": 0.5}, "prune": {"sparsity": 0.5}},
    }
    compress = Project.parse(table, tmp_path).compress
    assert compress.schemes == ("prune", "grid")
    assert compress.table_of("grid") == PluginTable(step=0.5)  # type: ignore[call-arg]
    with pytest.raises(ProjectError, match=r"unknown key 'compress\.gird"):
        Project.parse({"model": {"source": "m.keras"}, "compress": {"gird": {}}}, tmp_path)


def test_store_key_holds_the_code_of_plugins(plug: Plug, tmp_path: Path) -> None:
    plug(METRIC, ghost="broken_kit:ROWS")
    module = tmp_path / "site/broken_kit.py"
    before = code_version(module, "0.3")
    assert before.startswith("0.3+")
    code_version.cache_clear()
    module.write_text(module.read_text() + "\n")
    assert code_version(module, "0.3") != before


def test_starting_edgekit_looks_for_no_plugins(tmp_path: Path) -> None:
    code = (
        "import sys; from importlib import metadata; from edgekit.cli.main import run;"
        "metadata.entry_points = lambda **_: sys.exit('plug-ins were looked for');"
        "sys.exit(run(['--version']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
