"""When more text is to be expected."""

from __future__ import annotations

import pytest

from bot.streaming.cadence import Cadence


def heard(*times: float) -> float:
    cadence = Cadence()
    for at in times:
        cadence.note(at)
    return cadence.gap


def test_nothing_is_expected_before_two_pieces_came() -> None:
    assert heard() == heard(3.0) == 0.0


def test_the_first_gap_counts_in_full_and_later_ones_little_by_little() -> None:
    assert heard(1.0, 1.2) == pytest.approx(0.2)
    assert 0.2 < heard(1.0, 1.2, 1.6) < 0.25
    assert heard(*(0.5 * i for i in range(60))) == pytest.approx(0.5)


def test_a_pause_says_nothing() -> None:
    assert heard(1.0, 1.2, 9.0) == pytest.approx(0.2)
    assert heard(1.0, 1.2, 9.0, 9.2) == pytest.approx(0.2)
