"""The benchmark's own pieces: tokens that can be told apart, figures that are right, a table that lines up."""

from __future__ import annotations

import pytest

from tests.benchmarks import simulate
from tests.benchmarks.__main__ import chosen
from tests.benchmarks.lags import ReplyTrace, mean, percentile
from tests.benchmarks.report import Outcome, head, line, row, shares
from tests.benchmarks.stage import CHANNELS, plan
from tests.benchmarks.streams import SCENARIOS, Scenario, length, make_tokens, numbers, page_breaks


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("base", [0, 100_000])
def test_every_word_is_there_once_and_in_order(seed: int, base: int) -> None:
    tokens = make_tokens(500, seed, is_markdown=True, base=base)
    assert len(tokens) == 500
    assert numbers("".join(tokens)) == list(range(base, base + 500))
    assert all(len(numbers(token)) == 1 for token in tokens)


def test_messages_of_the_optimum_are_full() -> None:
    tokens = ["12345 "] * 700
    assert page_breaks(tokens) == [333, 666]
    assert page_breaks(["x" * 2000, "y"]) == [1]


def test_lengths_vary_by_a_quarter() -> None:
    answer = next(scenario for scenario in SCENARIOS if scenario.name == "answer")
    lengths = [length(answer, seed) for seed in range(200)]
    assert min(lengths) >= 450
    assert max(lengths) <= 750
    assert mean(lengths) == pytest.approx(600, rel=0.05)


def test_replies_of_overlapping_runs_are_in_channels_of_their_own() -> None:
    for scenario in SCENARIOS:
        planned = plan(scenario, scenario.runs)
        assert len(planned) == scenario.runs * scenario.channels
        assert len({p.name for p in planned}) == len(planned), scenario.name
        assert max(p.channel for p in planned) < CHANNELS


def trace(emitted: list[float], *events: tuple[str, str, float]) -> ReplyTrace:
    made = ReplyTrace(emitted=emitted)
    for message, text, at in events:
        made.show(message, text, at)
    return made


def test_lags_are_from_emission_to_first_sight() -> None:
    seen = trace([1.0, 2.0, 3.0], ("a", "w0▌", 1.1), ("a", "w0 w1▌", 2.5), ("a", "w0 w1 w2", 3.4))
    assert seen.lags == pytest.approx([0.1, 0.5, 0.4])
    assert seen.first == pytest.approx(0.1)
    assert seen.last == pytest.approx(0.4)
    assert (seen.edits, seen.faults) == (2, 0)


def test_a_page_that_still_has_its_cursor_is_not_finished() -> None:
    seen = trace([1.0, 2.0], ("a", "w0▌", 1.1), ("b", "w1", 2.1), ("a", "w0", 2.9))
    assert seen.last == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("texts", "faults"), [(["w0 w1 w2"], 0), (["w0 w1"], 1), (["w0 w1 w1 w2"], 1), (["w1 w2", "w0"], 1), ([], 3)]
)
def test_what_is_missing_doubled_or_out_of_order_is_counted(texts: list[str], faults: int) -> None:
    seen = trace([0.0, 0.0, 0.0], *((str(i), text, 1.0) for i, text in enumerate(texts)))
    assert seen.faults == faults


def test_percentiles_of_little_and_nothing() -> None:
    assert percentile([], 0.95) == 0
    assert percentile([3.0], 0.95) == 3.0
    assert percentile([float(i) for i in range(100)], 0.95) == 95.0


def test_the_table_lines_up() -> None:
    outcome = Outcome(Scenario("short", 3, 1.0), "fixed", [trace([1.0, 2.0, 3.0], ("a", "w0 w1 w2", 3.5))])
    printed = [line(head()), line(row(outcome))]
    assert len(row(outcome)) == len(head())
    assert printed[0].index("mean lag") + len("mean lag") == printed[1].index("1.500") + len("1.500")


def test_shares_of_a_channels_edits_are_compared_pair_by_pair() -> None:
    def reply(begin: float, end: float, edits: int) -> ReplyTrace:
        return ReplyTrace(emitted=[begin, end], edited=[begin + i for i in range(edits)])

    replies = [reply(0, 99, 10), reply(0, 7.5, 8), reply(0, 6, 6), reply(1, 6, 6)]
    assert "13 and 14, at worst 1 : 1.20" in shares(Outcome(Scenario("x", 1, 1.0, is_shared=True), "fixed", replies))


def test_a_quick_benchmark_plays_every_scenario_less_often() -> None:
    assert [s.name for s in chosen(None, quick=True)] == [s.name for s in SCENARIOS]
    assert sum(s.runs for s in chosen(None, quick=True)) < sum(s.runs for s in SCENARIOS) / 2
    with pytest.raises(SystemExit, match="no scenario"):
        chosen("nothing", quick=False)


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
def test_the_pace_is_as_good_as_it_was(kind: simulate.LimiterKind) -> None:
    """In virtual time the figures never vary: a change that makes them worse is seen here."""
    worst = {"short": {"fixed": 1.75, "leaky": 1.5}, "1-channel": {"fixed": 1.12, "leaky": 1.24}}
    for scenario in SCENARIOS:
        if scenario.name in worst:
            outcome = simulate.play(scenario, kind, 8)
            means = [mean(reply.lags) for reply in outcome.replies]
            ratios = [own / least for own, least in zip(means, outcome.optima(), strict=True)]
            assert mean(ratios) <= worst[scenario.name][kind]
            assert mean(reply.last for reply in outcome.replies) <= 0.09
            assert (outcome.refused, sum(reply.faults for reply in outcome.replies)) == (0, 0)
