"""The benchmark's table: one line per scenario and kind of limiter."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.benchmarks.lags import ReplyTrace, mean, percentile
from tests.benchmarks.optimum import best, between, shared_mean
from tests.benchmarks.streams import Scenario
from tests.streaming.simulated import LimiterKind

ROUND_TRIP = 0.08
# Of more replies than these the optimum is computed for some lengths only.
_EXACT = 40
# From so many replies at once on the global limit may bind.
_CROWD = 30
_COLUMNS = (
    ("stream", 12), ("limiter", 7), ("mean lag", 8), ("best", 6), ("ratio", 6), ("p95 lag", 7),
    ("first", 6), ("ratio", 6), ("p95", 6), ("last", 6), ("ratio", 6), ("p95", 6),
    ("edits", 6), ("429s", 4), ("faults", 6), ("worst/med", 9), ("cpu/1k", 6), ("MiB", 5),
)  # fmt: skip


@dataclass
class Outcome:
    """What one scenario came to: every reply of every run.

    Attributes:
        refused: how many 429s there were.
        cpu: seconds of CPU time that the bot used.
        memory: the bot's peak resident memory in MiB.
        backlog: the most bytes that waited in the model server for the bot to read them.
    """

    scenario: Scenario
    kind: LimiterKind
    replies: list[ReplyTrace] = field(default_factory=list)
    refused: int = 0
    cpu: float = 0.0
    memory: float = 0.0
    backlog: int = 0

    def optima(self) -> list[float]:
        """Return the best mean lag of each reply, given that it shares the global limit with those beside it."""
        own = self._own_optima()
        if self.scenario.channels < _CROWD:
            return own
        begins = sorted(reply.emitted[0] for reply in self.replies)
        ends = sorted(reply.emitted[-1] for reply in self.replies)
        return [
            mean(
                shared_mean(least, bisect_right(begins, at) - bisect_left(ends, at), 1 / self.scenario.rate)
                for at in reply.emitted
            )
            for least, reply in zip(own, self.replies, strict=True)
        ]

    def _own_optima(self) -> list[float]:
        counts = [len(reply.emitted) for reply in self.replies]
        rate = self.scenario.rate
        if self.scenario.is_markdown or len(counts) <= _EXACT:
            streams = zip(counts, self.replies, strict=True)
            return [best(n, rate, self.kind, breaks=reply.breaks).mean_lag for n, reply in streams]
        return between(counts, lambda n: best(n, rate, self.kind).mean_lag)


def row(outcome: Outcome) -> list[str]:
    """Return the line of one outcome, as `_COLUMNS` names it."""
    replies = outcome.replies
    means = [mean(reply.lags) for reply in replies]
    optima = outcome.optima()
    lags = [lag for reply in replies for lag in reply.lags]
    firsts, lasts = [reply.first for reply in replies], [reply.last for reply in replies]
    least = ROUND_TRIP / 2
    tokens = sum(len(reply.emitted) for reply in replies)
    return [
        outcome.scenario.name,
        outcome.kind,
        f"{mean(means):.3f}",
        f"{mean(optima):.3f}",
        f"{mean(own / lowest for own, lowest in zip(means, optima, strict=True)):.2f}",
        f"{percentile(lags, 0.95):.2f}",
        f"{mean(firsts):.3f}",
        f"{mean(firsts) / least:.2f}",
        f"{percentile(firsts, 0.95):.3f}",
        f"{mean(lasts):.3f}",
        f"{mean(lasts) / least:.2f}",
        f"{percentile(lasts, 0.95):.2f}",
        f"{mean(reply.edits for reply in replies):.1f}",
        str(outcome.refused),
        str(sum(reply.faults for reply in replies)),
        f"{max(means) / max(percentile(means, 0.5), 1e-9):.2f}",
        f"{outcome.cpu / tokens * 1000:.2f}" if outcome.cpu else "-",
        f"{outcome.memory:.0f}" if outcome.memory else "-",
    ]


def head() -> list[str]:
    """Return the names of the columns."""
    return [name for name, _ in _COLUMNS]


def line(cells: Sequence[str]) -> str:
    """Return *cells* aligned under each other."""
    words = [
        cell.ljust(width) if i < 2 else cell.rjust(width)
        for i, (cell, (_, width)) in enumerate(zip(cells, _COLUMNS, strict=True))
    ]
    return "  ".join(words).rstrip()


_IN_SHORT = (0, 1, 2, 3, 4, 6, 7, 9, 10, 11, 13, 14, 16, 17)


def markdown(cells: Sequence[str]) -> str:
    """Return the *cells* of a line as a row of the README's table: the columns that matter to a reader."""
    return f"| {' | '.join(cells[i] for i in _IN_SHORT)} |"


def shares(outcome: Outcome) -> str:
    """Return how the replies that shared a channel shared its edits, for the scenario where they do."""
    pairs = [_edits_together(a, b) for a, b in zip(outcome.replies[::2], outcome.replies[1::2], strict=True)]
    worst = max(max(a, b) / max(1, min(a, b)) for a, b in pairs)
    a, b = (sum(counts) for counts in zip(*pairs, strict=True))
    return f"edits while both ran: {a} and {b}, at worst 1 : {worst:.2f}"


def waits(outcome: Outcome) -> str:
    """Return how long the model was idle, and its answer unseen, between two questions of one channel."""
    pairs = list(zip(outcome.replies[::2], outcome.replies[1::2], strict=True))
    idle = [second.emitted[0] - first.emitted[-1] for first, second in pairs]
    going_out = [first.last for first, _ in pairs]
    return (
        f"{len(pairs)} pairs: the next question reached the model {mean(idle):.2f} s after the last token before it "
        f"(p95 {percentile(idle, 0.95):.2f} s), while the pages before went out for {mean(going_out):.2f} s more; "
        f"{outcome.refused} refused, {sum(reply.faults for reply in outcome.replies)} faults"
    )


def _edits_together(one: ReplyTrace, other: ReplyTrace) -> tuple[int, int]:
    """Return how many edits each had while the model wrote both."""
    begin, end = max(one.emitted[0], other.emitted[0]), min(one.emitted[-1], other.emitted[-1])
    first, second = (sum(begin <= at <= end for at in reply.edited) for reply in (one, other))
    return first, second
