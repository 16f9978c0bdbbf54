"""One bucket: what it believes, what answers teach it, when it says go."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from bot.streaming.bucket import BucketState, Kind, Limits, RateHeaders, Urgency
from tests.streaming.simulated import LimiterKind, SimulatedLimiter

TRIP = 0.08


class Talk:
    """A bucket and a limiter that talk, one request after the other."""

    def __init__(self, limiter: SimulatedLimiter, prior: Limits | None = None) -> None:
        self.limiter = limiter
        self.state = BucketState(prior or Limits())
        self.now = 0.0
        self.refused = 0

    def send(self, trip_out: float = TRIP / 2, trip_back: float = TRIP / 2) -> None:
        sent_at = self.now
        self.state.spend(sent_at)
        wait, headers = self.limiter.hit(sent_at + trip_out)
        self.now = sent_at + trip_out + trip_back
        if wait:
            self.refused += 1
            self.state.refused(wait, self.now)
        else:
            self.state.observe(headers, sent_at, self.now)


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
@pytest.mark.parametrize(("limit", "period"), [(5, 5.0), (3, 10.0), (5, 2.0), (2, 1.0), (10, 10.0), (1, 1.0)])
def test_a_burst_as_fast_as_allowed_is_never_refused(kind: LimiterKind, limit: int, period: float) -> None:
    rng = random.Random(5)
    talk = Talk(SimulatedLimiter(kind, limit, period))
    for _ in range(40):
        talk.now = talk.state.free_at(talk.now)
        talk.send(TRIP / 2 + rng.uniform(0, 0.1), TRIP / 2 + rng.uniform(0, 0.1))
    # what was not known at first costs one refusal where the limit is below the usual 5 per 5 s
    assert talk.refused <= (1 if limit / period < 1 or limit < 5 else 0)
    assert talk.state.limit == limit


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
@pytest.mark.parametrize(("limit", "period"), [(5, 5.0), (3, 10.0), (5, 2.0)])
def test_two_answers_tell_the_kind_and_the_period(kind: LimiterKind, limit: int, period: float) -> None:
    talk = Talk(SimulatedLimiter(kind, limit, period))
    talk.send()
    talk.now += 0.1
    talk.send()
    assert talk.state.kind is (Kind.LEAKY if kind == "leaky" else Kind.FIXED)
    assert talk.state.period == pytest.approx(period, rel=0.05)


def test_the_first_answer_gives_a_leaking_bucket_away() -> None:
    talk = Talk(SimulatedLimiter("leaky"))
    talk.send()
    assert talk.state.kind is Kind.LEAKY
    assert talk.state.emission == pytest.approx(1.0)


def test_a_fixed_bucket_is_not_taken_for_leaking_because_its_siblings_leaked() -> None:
    talk = Talk(SimulatedLimiter("fixed"), Limits(kind=Kind.LEAKY))
    for _ in range(12):
        talk.now = talk.state.free_at(talk.now)
        talk.send()
    assert talk.state.kind is Kind.FIXED
    assert talk.refused == 0


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
def test_a_limit_that_drops_while_a_reply_runs_is_followed_at_once(kind: LimiterKind) -> None:
    talk = Talk(SimulatedLimiter(kind))
    talk.send()
    talk.limiter = SimulatedLimiter(kind, 3, 10.0)
    talk.now += 6.0
    for _ in range(12):
        talk.now = talk.state.free_at(talk.now)
        talk.send()
    assert talk.state.limit == 3
    assert talk.state.period == pytest.approx(10.0, rel=0.05)
    assert talk.refused <= 1


def test_an_answer_that_joined_a_window_under_way_sets_its_end() -> None:
    state = BucketState(Limits())
    state.spend(100.0)
    state.observe(RateHeaders(5, 1, 1.5), 100.0, 100.08)
    assert state.tokens(100.1) == 1
    state.spend(100.2)
    assert state.free_at(100.3) == pytest.approx(101.54, abs=0.05)


def test_a_token_given_back_can_be_spent_again() -> None:
    for kind in (Kind.FIXED, Kind.LEAKY):
        state = BucketState(Limits(kind=kind))
        for _ in range(5):
            state.spend(1.0)
        assert state.free_at(1.0) > 1.0
        state.give_back()
        assert state.free_at(1.0) == 1.0
        assert state.in_flight == 4


@pytest.mark.parametrize("kind", list(Kind))
def test_nothing_goes_while_a_refusal_lasts(kind: Kind) -> None:
    state = BucketState(Limits(kind=kind))
    state.spend(10.0)
    state.refused(2.5, 10.1)
    assert state.tokens(11.0) == 0
    for urgency in Urgency:
        assert state.due(urgency, 9, 11.0) >= 12.6
    assert state.free_at(12.7) == pytest.approx(12.7)


def test_refusals_that_headers_did_not_announce_slow_the_bucket_down_and_pass() -> None:
    """Edits of old messages have a limit that no header tells: 3 per 6 s."""
    hidden = SimulatedLimiter("fixed", 3, 6.0)
    state, now, refused, shown = BucketState(Limits(kind=Kind.FIXED)), 0.0, 0, 0
    for _ in range(60):
        now = max(state.due(Urgency.EDIT, 9, now), now)
        state.spend(now)
        wait, _headers = hidden.hit(now)
        if wait:
            refused += 1
            state.refused(wait, now + TRIP)
        else:
            shown += 1
            state.observe(RateHeaders(5, 4, 5.0), now, now + TRIP)
        now += TRIP
    assert refused <= 8, "the pace adapts instead of running into the wall each time"
    assert shown / now > 0.3


def test_a_request_without_headers_counts_as_spent() -> None:
    state = BucketState(Limits(kind=Kind.FIXED))
    for i in range(5):
        state.spend(i * 0.1)
        state.lost()
    assert state.tokens(1.0) == 0
    assert state.in_flight == 0


def test_what_is_under_way_is_not_offered_again_by_an_older_answer() -> None:
    state = BucketState(Limits(kind=Kind.FIXED))
    state.spend(0.0)
    state.spend(0.1)
    state.observe(RateHeaders(5, 4, 5.0), 0.0, 0.15)  # of the first; the second is on its way
    assert state.tokens(0.2) == 3


# ---------------------------------------------------------------- the pace


def edits_of(
    kind: LimiterKind, seconds: float, limit: int = 5, period: float = 5.0, *, is_brief: bool = False
) -> tuple[list[float], Talk]:
    """Return when edits go if there is always something new to show."""
    talk = Talk(SimulatedLimiter(kind, limit, period))
    at: list[float] = []
    while True:
        talk.now = talk.state.due(Urgency.EDIT, len(at), talk.now, at[-1] if at else 0.0, is_brief=is_brief)
        if talk.now > seconds:
            return at, talk
        at.append(talk.now)
        talk.send()


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
def test_the_first_edits_come_fast_and_then_the_sustainable_rate(kind: LimiterKind) -> None:
    at, talk = edits_of(kind, 60.0)
    assert at[0] < 0.25
    gaps = [b - a for a, b in pairwise(at[5:])]
    assert max(gaps) < 1.5
    assert 56 <= len(at) <= 65
    assert talk.refused == 0


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
def test_where_answers_are_brief_two_edits_come_fast(kind: LimiterKind) -> None:
    at, talk = edits_of(kind, 60.0, is_brief=True)
    assert at[1] < 0.45
    assert 56 <= len(at) <= 65
    assert talk.refused == 0


def test_the_first_edit_of_a_window_costs_none_of_the_others_their_even_gaps() -> None:
    at, _ = edits_of("fixed", 4.5)
    gaps = [b - a for a, b in pairwise(at)]
    assert max(gaps) - min(gaps) < 0.05


def test_an_edit_that_soon_shows_more_waits_a_little() -> None:
    for kind in Kind:
        state = BucketState(Limits(kind=kind))
        state.spend(0.0)
        late = state.due(Urgency.LATE_EDIT, 9, 0.1, 0.0) - state.due(Urgency.EDIT, 9, 0.1, 0.0)
        assert late == pytest.approx(0.25)


def test_an_edit_may_go_a_little_early_but_over_no_limit() -> None:
    for kind in Kind:
        state = BucketState(Limits(kind=kind))
        state.spend(0.0)
        assert state.may_advance(due=1.0, now=0.7)
        assert not state.may_advance(due=1.0, now=0.6)
        state.refused(retry_after=0.75, now=0.0)
        assert not state.may_advance(due=1.0, now=0.7)
    spent = BucketState(Limits(kind=Kind.FIXED))
    for _ in range(5):
        spent.spend(0.0)
    assert not spent.may_advance(due=5.0, now=4.9)


def test_after_a_refusal_that_nothing_announced_no_edit_goes_early() -> None:
    state = BucketState(Limits(kind=Kind.LEAKY))
    state.spend(0.0)
    state.refused(retry_after=0.1, now=0.0)
    assert not state.may_advance(due=state.due(Urgency.EDIT, 9, 1.8, 0.0), now=1.8)


def test_where_pages_end_fast_a_fixed_window_keeps_tokens_for_them() -> None:
    def gap_after(pages: int) -> float:
        state = BucketState(Limits(kind=Kind.FIXED))
        for i in range(pages):
            state.spend(1.0 + i, Urgency.PAGE)
        state.spend(6.0)
        return state.due(Urgency.EDIT, 9, 6.1, 6.0)

    assert gap_after(4) > gap_after(0) + 0.2


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
def test_an_ending_seldom_waits(kind: LimiterKind) -> None:
    waits = []
    for tenth in range(5, 300):
        ends_at = tenth / 10
        at, talk = edits_of(kind, ends_at)
        waits.append(talk.state.due(Urgency.FINAL, len(at), ends_at) - ends_at)
    assert max(waits) < (0.85 if kind == "fixed" else 0.01)
    assert sum(waits) / len(waits) < 0.08


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
def test_three_per_ten_seconds_is_paced_without_a_refusal(kind: LimiterKind) -> None:
    at, talk = edits_of(kind, 120.0, 3, 10.0)
    assert talk.refused <= 1  # the fourth edit, if the first answers came too late to tell
    assert 30 <= len(at) <= 40


def test_a_full_page_goes_before_the_next_edit_would() -> None:
    state = BucketState(Limits(kind=Kind.LEAKY))
    for _ in range(4):
        state.spend(0.0)
    page, edit = state.due(Urgency.PAGE, 9, 0.1, 0.0), state.due(Urgency.EDIT, 9, 0.1, 0.0)
    assert page < edit


def test_a_further_message_waits_for_no_token_of_an_edit() -> None:
    posts = BucketState(Limits())
    assert posts.due(Urgency.OVERFLOW, 9, 10.0, shown_at=9.9, asked_at=10.0) <= 10.61
    assert posts.due(Urgency.OVERFLOW, 9, 10.0, shown_at=2.0, asked_at=9.0) == 10.0
