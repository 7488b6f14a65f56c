"""Devices under names of the user's: what is read, what they stand for, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shelf

from conftest import answer
from edgekit.errors import DeviceNameError, ProjectError
from edgekit.project import Project
from edgekit.project.book import device_book
from edgekit.targets.devices import DeviceBook, Listed

MODEL = '[model]\nsource = "model.keras"\n'


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shelf.install(tmp_path / "shelf", monkeypatch)
    file = tmp_path / "config" / "edgekit" / "devices.toml"
    file.parent.mkdir(parents=True)
    return file


def project(folder: Path, text: str) -> Project:
    (folder / "edgekit.toml").write_text(MODEL + text)
    return Project.load(folder / "edgekit.toml")


def test_the_projects_devices_win_over_the_users_own(tmp_path: Path, config: Path) -> None:
    config.write_text(
        '[devices.pi]\naddress = "shelf://mine"\n[devices.phone]\naddress = "shelf://phone"\n'
    )
    book = device_book(project(tmp_path, '[devices.pi]\naddress = "shelf://theirs"\n'))
    assert book.find("pi").address == "shelf://theirs"
    assert book.find("phone").address == "shelf://phone"


def test_a_table_is_read_with_its_units(tmp_path: Path) -> None:
    text = """[devices.pi]
address = "shelf://board"
runtime = "litert"
budgets = { latency_p50 = "5 ms", latency_p95 = "10 ms", memory = "20 MB", arena = "64 KiB" }
emulated = true
benchmark_model = "tools/benchmark_model"
attempts = 3
time_limit = "10 min"
"""
    pi = device_book(project(tmp_path, text)).find("pi")
    assert (pi.budgets.latency_p50, pi.budgets.latency_p95) == (5e6, 10e6)
    assert (pi.budgets.memory, pi.budgets.arena) == (20_000_000, 65_536)
    assert (pi.attempts, pi.time_limit) == (3, 600.0)
    assert pi.estimates == "emulated (the device book says so)"
    assert pi.benchmark_model == str(tmp_path / "tools" / "benchmark_model")
    assert (pi.device.text, pi.device.runtime) == ("shelf://board#litert", "litert")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('adress = "local"', "line 2: unknown key 'devices.pi.adress'; did you mean 'address'?"),
        ('address = "local"\nattempts = 0', "line 3: devices.pi.attempts"),
        ('address = "local"\ntime_limit = "10"', "line 3: devices.pi.time_limit"),
        ('address = "local"\nbudgets = { latency = "5 ms" }', "did you mean 'latency_p"),
        ('address = "local"\nmembers = ["local"]', "give one of the two"),
        ("attempts = 2", "give one of the two"),
        ('members = ["local"]\nattempts = 2', "'attempts' belongs to a device"),
        ('members = ["tflm", "tflm"]', "'tflm' is named twice"),
    ],
)
@pytest.mark.parametrize("where", ["devices.toml", "edgekit.toml"])
def test_a_table_that_is_wrong_says_where(
    tmp_path: Path, config: Path, text: str, said: str, where: str
) -> None:
    table = f"[devices.pi]\n{text}\n"
    if where == "devices.toml":
        config.write_text(table)
    else:
        said = said.replace("line 3", "line 5").replace("line 2", "line 4")
    with pytest.raises(ProjectError) as caught:
        device_book(project(tmp_path, table if where == "edgekit.toml" else ""))
    assert caught.value.code == "EK-PROJECT-003"
    assert said in caught.value.message
    assert where in caught.value.message


@pytest.mark.parametrize("name", ["local", "tflm", '"a:b"', '"ssh://board"'])
def test_a_name_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProjectError, match=r"is taken|cannot name a device"):
        project(tmp_path, f'[devices.{name}]\naddress = "local"\n')


def book(**members: tuple[str, ...]) -> DeviceBook:
    groups = {name: Listed(name, members=found) for name, found in members.items()}
    return DeviceBook({"pi": Listed("pi", "shelf://pi"), **groups})


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("pi",), ("pi",)),
        (("lab",), ("pi", "local", "shelf://x")),
        (("tflm", "lab", "pi"), ("tflm", "pi", "local", "shelf://x")),
        ((), ()),
    ],
)
def test_groups_stand_for_their_members(names: tuple[str, ...], found: tuple[str, ...]) -> None:
    given = book(lab=("pi", "more"), more=("local", "shelf://x", "pi"))
    assert given.expand(names) == found


def test_a_group_that_contains_itself_is_an_error() -> None:
    with pytest.raises(DeviceNameError) as caught:
        book(lab=("pi", "more"), more=("lab",)).expand(["lab"])
    assert caught.value.code == "EK-DEVICE-087"
    assert "lab → more → lab" in caught.value.message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pie", "'pie' is not a device; did you mean 'pi'?"),
        ("loca", "did you mean 'local'?"),
        ("local:litetr", "did you mean 'litert'?"),
        ("shlf://pi", "did you mean 'shelf'?"),
    ],
)
def test_what_is_no_device_is_asked_about(name: str, said: str) -> None:
    with pytest.raises(DeviceNameError) as caught:
        book(lab=("pi", name)).expand(["lab"])
    assert caught.value.code == "EK-DEVICE-012"
    assert said in caught.value.message


def test_a_runtime_is_said_once() -> None:
    given = DeviceBook({"x": Listed("x", "shelf://x#litert", runtime="litert")})
    with pytest.raises(DeviceNameError, match="EK-DEVICE-087"):
        given.expand(["x"])


def test_an_address_that_is_wrong_names_its_device() -> None:
    with pytest.raises(DeviceNameError, match="x: "):
        DeviceBook({"x": Listed("x", "nowhere://x")}).expand(["x"])


def test_listing_has_the_books_devices(tmp_path: Path, config: Path) -> None:
    config.write_text(
        '[devices.mine]\naddress = "local:reference"\n[devices.far]\naddress = "nowhere://far"\n'
        '[devices.all]\nmembers = ["mine", "far"]\n'
    )
    done = answer("devices", "list", "mine", "--json", cwd=tmp_path)
    (one,) = json.loads(done.stdout)
    assert (one["name"], one["status"], one["address"]) == ("mine", "passed", "local:reference")
    assert done.returncode == 0


@pytest.mark.slow
def test_listing_all_has_those_that_do_not_answer(tmp_path: Path, config: Path) -> None:
    config.write_text('[devices.far]\naddress = "nowhere://far"\n')
    done = answer("devices", "--json", cwd=tmp_path)
    (far,) = [one for one in json.loads(done.stdout) if one["name"] == "far"]
    assert far["status"] == "unavailable"
    assert far["message"]
    assert done.returncode == 0
