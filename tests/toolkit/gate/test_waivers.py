"""Waivers: red that is accepted for a time is shown, and neither hidden nor forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ratchet import HOST, Workshop

pytestmark = pytest.mark.usefixtures("on_x86")
BUDGET = f'[targets.{HOST}.budgets]\nsize = "20 kB"\n'


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A project whose only run is over its budget of size."""
    made = Workshop(tmp_path)
    made.convert()
    return made


def waiver(**fields: str) -> str:
    fields = {"check": "size", "reason": "until the new codec", "expires": "2999-12-31"} | fields
    lines = [f'{name} = "{value}"' for name, value in fields.items() if value]
    return "\n".join(["[[waiver]]", *lines, ""])


def test_waived_check_does_not_fail_and_every_output_says_so(workshop: Workshop) -> None:
    workshop.project(BUDGET)
    assert workshop.edgekit("check", "-q")[0] == 1
    workshop.project(BUDGET + waiver(target=HOST, candidate="int8"))
    code, text = workshop.edgekit("check", "--json", "--junit", "j.xml", "--summary", "s.md")
    report = json.loads(text[: text.rindex("}") + 1])
    assert code == 0
    (check,) = [one for one in report["verdict"]["checks"] if one["name"] == "size"]
    assert check["status"] == "waived"
    assert check["waiver"]["reason"] == "until the new codec"
    assert (check["waiver"]["expires"], check["waiver"]["accepted"]) == ("2999-12-31", "failed")
    for name in ("j.xml", "s.md"):
        written = (workshop.root / name).read_text()
        assert "waived" in written
        assert "until the new codec" in written
    text = workshop.edgekit("check", "-q")[1]
    assert "waived: linux-x86_64 int8 size (at most 20,000 bytes)" in text
    assert "waived until 2999-12-31, until the new codec: the file has 27,736 bytes" in text


@pytest.mark.parametrize("other", [{"check": "arena"}, {"target": "ios-arm64"}, {"candidate": "x"}])
def test_waiver_of_something_else_waives_nothing_and_is_named(
    workshop: Workshop, other: dict[str, str]
) -> None:
    workshop.project(BUDGET + waiver(**other))
    code, text = workshop.edgekit("check")
    assert code == 1
    assert "warning EK-NOTE-110: the waiver of" in text
    assert "matches no red check" in text


def test_expired_waiver_is_red_even_where_nothing_else_is(workshop: Workshop) -> None:
    workshop.project(BUDGET + waiver(expires="2020-01-31"))
    code, text = workshop.edgekit("check", "-q")
    assert (code, text.count("FAILED: ")) == (1, 2), text
    workshop.project(waiver(expires="2020-01-31"))
    code, text = workshop.edgekit("check", "-q")
    assert code == 1
    assert "FAILED: waiver of size (until 2020-01-31): it expired on 2020-01-31" in text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "  "}, "reason"),
        ({"expires": ""}, "expires"),
        ({"expires": "soon"}, "'soon' is not a day such as 2027-01-31"),
        ({"until": "2999-01-01"}, "unknown key"),
    ],
)
def test_waiver_without_reason_or_day_is_an_error(
    workshop: Workshop, fields: dict[str, str], says: str
) -> None:
    workshop.project(waiver(**fields))
    code, text = workshop.edgekit("check")
    assert (code, "EK-PROJECT-003" in text, says in text) == (2, True, True), text
