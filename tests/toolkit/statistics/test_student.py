"""Student's t distribution, against SciPy's."""

from __future__ import annotations

import pytest
from scipy.special import stdtr, stdtrit

from edgekit.statistics import t_quantile, t_tail


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 11, 12, 29, 100])
def test_tails_and_quantiles_are_those_of_scipy(freedom: int) -> None:
    for t in (0.0, 0.1, 1.0, 2.5, 12.7, 80.0):
        assert t_tail(t, freedom) == pytest.approx(float(stdtr(freedom, -t)), abs=1e-12)
    for share in (0.5, 0.9, 0.975, 0.9995):
        assert t_quantile(share, freedom) == pytest.approx(float(stdtrit(freedom, share)), 1e-9)


@pytest.mark.parametrize(("t", "freedom"), [(-1.0, 3), (1.0, 0)])
def test_there_is_no_such_tail(t: float, freedom: int) -> None:
    with pytest.raises(ValueError, match="no such tail"):
        t_tail(t, freedom)


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_there_is_no_such_quantile(share: float) -> None:
    with pytest.raises(ValueError, match="share must be"):
        t_quantile(share, 3)
