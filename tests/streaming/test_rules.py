"""The table of rules: every kind of call has an answer to every outcome, and it is the one that was decided."""

from __future__ import annotations

from itertools import product

import pytest

from bot.streaming.rules import Kind, Next, Outcome, rule

TIMES = range(12)
MATRIX = list(product(Kind, Outcome))
PAGES = [Kind.POST, Kind.EDIT, Kind.FILE, Kind.POST_WORDS, Kind.EDIT_WORDS]
SIDE = [kind for kind in Kind if kind not in PAGES]
REFUSED_FOR_GOOD = {Outcome.READ, Outcome.TEXT, Outcome.TOO_LARGE, Outcome.LOCKED, Outcome.FORBIDDEN, Outcome.PROXY}

DECIDED = {  # what is done the first, second, third … time
    (Kind.POST, Outcome.READ): "WORDS",
    (Kind.POST, Outcome.TEXT): "AGAIN AGAIN WORDS",
    (Kind.POST, Outcome.ARCHIVED): "UNARCHIVE ELSEWHERE",
    (Kind.POST, Outcome.LOCKED): "ELSEWHERE",
    (Kind.POST, Outcome.FORBIDDEN): "ELSEWHERE",
    (Kind.POST, Outcome.PROXY): "AGAIN ELSEWHERE",
    (Kind.POST, Outcome.NO_REFERENCE): "UNREFERENCED",
    (Kind.POST, Outcome.TOKEN_DEAD): "BY_CHANNEL BY_CHANNEL",
    (Kind.POST, Outcome.MESSAGE_GONE): "FORGET",
    (Kind.POST, Outcome.PLACE_GONE): "OVER",
    (Kind.EDIT, Outcome.READ): "WORDS",
    (Kind.EDIT, Outcome.TEXT): "AGAIN AGAIN WORDS",
    (Kind.EDIT, Outcome.ARCHIVED): "UNARCHIVE REPLACE",
    (Kind.EDIT, Outcome.FORBIDDEN): "AGAIN REPLACE",
    (Kind.EDIT, Outcome.PROXY): "AGAIN REPLACE",
    (Kind.EDIT, Outcome.MESSAGE_GONE): "FORGET",
    (Kind.EDIT, Outcome.PLACE_GONE): "OVER",
    (Kind.FILE, Outcome.READ): "WORDS",
    (Kind.FILE, Outcome.TEXT): "AGAIN AGAIN FILELESS",
    (Kind.FILE, Outcome.TOO_LARGE): "FILELESS",
    (Kind.FILE, Outcome.ARCHIVED): "UNARCHIVE REPLACE",
    (Kind.FILE, Outcome.FORBIDDEN): "HAND_OVER",
    (Kind.FILE, Outcome.PROXY): "AGAIN HAND_OVER",
    (Kind.POST_WORDS, Outcome.READ): "ELSEWHERE",
    (Kind.EDIT_WORDS, Outcome.READ): "WORDS REPLACE",
    (Kind.EDIT_WORDS, Outcome.FORBIDDEN): "AGAIN REPLACE",
    (Kind.EDIT_WORDS, Outcome.ARCHIVED): "UNARCHIVE REPLACE",
    (Kind.UNARCHIVE, Outcome.FORBIDDEN): "SKIP",
    (Kind.OPEN_DM, Outcome.FORBIDDEN): "FULL",
    (Kind.SAY_WHY, Outcome.FORBIDDEN): "FULL",
    (Kind.HAND_OVER, Outcome.FORBIDDEN): "SKIP",
    (Kind.LOOK, Outcome.FORBIDDEN): "SKIP",
    (Kind.CLOSE, Outcome.LATER): "AGAIN AGAIN AGAIN AGAIN SKIP",
    (Kind.CLOSE, Outcome.LIMITED): "WAIT WAIT WAIT WAIT SKIP",
    (Kind.CLOSE, Outcome.ARCHIVED): "UNARCHIVE SKIP",
    (Kind.CLOSE, Outcome.MESSAGE_GONE): "SHOWN",
    (Kind.DELETE, Outcome.MESSAGE_GONE): "SHOWN",
    (Kind.DELETE, Outcome.PLACE_GONE): "SHOWN",
}


@pytest.mark.parametrize(("kind", "outcome"), MATRIX, ids=lambda each: each.name)
def test_the_table_is_total_and_settles(kind: Kind, outcome: Outcome) -> None:
    """Whatever is said again and again, what is done stays the same after a few times."""
    steps = [rule(kind, outcome).at(count) for count in TIMES]
    assert len(set(steps[5:])) == 1
    if outcome in (Outcome.OK, Outcome.OTHER):
        assert set(steps) == {Next.SHOWN}
    if outcome in REFUSED_FOR_GOOD:
        assert steps[-1] not in (Next.AGAIN, Next.WAIT, Next.SHOWN), "it would be hammered"
        assert sum(step is Next.AGAIN for step in steps) <= 2
    if outcome is Outcome.LIMITED:
        assert steps[0] is Next.WAIT


@pytest.mark.parametrize("kind", PAGES, ids=lambda each: each.name)
@pytest.mark.parametrize("outcome", [Outcome.LATER, Outcome.CLOSED, Outcome.PROXY404], ids=lambda each: each.name)
def test_what_may_pass_is_tried_for_as_long_as_patience_lasts(kind: Kind, outcome: Outcome) -> None:
    assert {rule(kind, outcome).at(count) for count in TIMES} == {Next.AGAIN}


@pytest.mark.parametrize("kind", SIDE, ids=lambda each: each.name)
@pytest.mark.parametrize("outcome", Outcome, ids=lambda each: each.name)
def test_a_side_call_never_ends_the_reply(kind: Kind, outcome: Outcome) -> None:
    allowed = set(Next) - {Next.OVER, Next.REPLACE, Next.WORDS, Next.ELSEWHERE, Next.FORGET}
    assert {rule(kind, outcome).at(count) for count in TIMES} <= allowed


@pytest.mark.parametrize(("pair", "steps"), DECIDED.items(), ids=str)
def test_what_was_decided(pair: tuple[Kind, Outcome], steps: str) -> None:
    wanted = [Next[name] for name in steps.split()]
    assert [rule(*pair).at(count) for count in range(len(wanted))] == wanted
