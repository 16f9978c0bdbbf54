"""The pacing alone, in virtual time: the real budget and streamer against a Discord in memory.

    python -m tests.benchmarks.simulate [--only NAME] [--seeds N]

Takes seconds where the benchmark takes minutes, and is the same every time: a
change of `bot.streaming.bucket` is judged here first. Computing takes no time
here, so the figures are the pace's own.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from dataclasses import dataclass

from bot.streaming.budget import EditBudget
from bot.streaming.streamer import ReplyStreamer
from tests.benchmarks.lags import ReplyTrace, mean, percentile
from tests.benchmarks.optimum import best, between
from tests.benchmarks.streams import SCENARIOS, Scenario, length, make_tokens
from tests.streaming.simulated import LimiterKind, PlainPages, SimulatedDiscord, SimulatedSink
from tests.streaming.virtual_time import run

_PAUSE_BETWEEN_RUNS = 12.0
# Of more replies than these the optimum is computed for some lengths only.
_EXACT = 40


@dataclass
class Outcome:
    """What one scenario came to: every reply of every run."""

    scenario: Scenario
    kind: LimiterKind
    replies: list[ReplyTrace]
    refused: int

    def optima(self) -> list[float]:
        """Return the best mean lag of each reply by itself."""
        counts = [len(reply.emitted) for reply in self.replies]
        if self.scenario.is_markdown or len(counts) <= _EXACT:
            streams = zip(counts, self.replies, strict=True)
            return [best(n, self.scenario.rate, self.kind, breaks=reply.breaks).mean_lag for n, reply in streams]
        return between(counts, lambda n: best(n, self.scenario.rate, self.kind).mean_lag)


async def play_reply(
    discord: SimulatedDiscord, budget: EditBudget, channel: int, tokens: list[str], rate: float
) -> ReplyTrace:
    """Stream *tokens* into a channel; return what was seen when."""
    loop = asyncio.get_running_loop()
    sink = SimulatedSink(discord, channel)
    # pages end where their Markdown lets them: not at the same length in every reply
    pages = PlainPages(random.Random(len(tokens)).randint(1600, 2000))
    streamer = ReplyStreamer(sink, pages, budget, max_messages=1000)
    writer = asyncio.create_task(streamer.run())
    trace = ReplyTrace()
    start = loop.time()
    for i, token in enumerate(tokens):
        await asyncio.sleep(start + i / rate - loop.time())
        trace.emitted.append(loop.time())
        streamer.feed(token)
    streamer.end()
    await writer
    for at, ordinal, text in sink.seen:
        trace.show(ordinal, text, at)
    return trace


async def _play(scenario: Scenario, kind: LimiterKind, seeds: int) -> Outcome:
    discord = SimulatedDiscord(kind)
    budget = EditBudget()
    outcome = Outcome(scenario, kind, [], 0)
    for seed in range(seeds):
        outcome.replies += await _play_once(scenario, seed, discord, budget)
        await asyncio.sleep(_PAUSE_BETWEEN_RUNS + seed * 0.37)
    outcome.refused = discord.refused
    return outcome


async def _play_once(scenario: Scenario, seed: int, discord: SimulatedDiscord, budget: EditBudget) -> list[ReplyTrace]:
    async def one(index: int) -> ReplyTrace:
        await asyncio.sleep(index * scenario.spread / scenario.channels)
        count = length(scenario, seed * scenario.channels + index)
        channel = seed if scenario.is_shared else seed * scenario.channels + index
        return await play_reply(discord, budget, channel, make_tokens(count, seed), scenario.rate)

    return await asyncio.gather(*(one(i) for i in range(scenario.channels)))


def play(scenario: Scenario, kind: LimiterKind, seeds: int) -> Outcome:
    """Play *seeds* runs of *scenario* one after the other against one budget."""
    return run(_play(scenario, kind, seeds))


def describe(outcome: Outcome) -> str:
    """Return one line of figures."""
    replies = outcome.replies
    means = [mean(reply.lags) for reply in replies]
    optima = outcome.optima()
    ratio = mean(own / least for own, least in zip(means, optima, strict=True))
    lasts = [reply.last for reply in replies]
    return (
        f"{outcome.scenario.name:12} {outcome.kind:6} mean {mean(means):6.3f} best {mean(optima):6.3f} "
        f"ratio {ratio:5.3f} ({mean(means) / mean(optima):5.3f})  last {mean(lasts):6.3f} ({mean(lasts) / 0.04:5.2f}x) "
        f"p95 {percentile(lasts, 0.95):5.2f} max {max(lasts):5.2f}  "
        f"first {mean(r.first for r in replies):5.3f} p95 {percentile([r.first for r in replies], 0.95):5.3f}  "
        f"edits {mean(r.edits for r in replies):5.1f}  worst/median {max(means) / percentile(means, 0.5):4.2f}  "
        f"429s {outcome.refused}  faults {sum(r.faults for r in replies)}"
    )


def main(arguments: list[str]) -> None:
    """Print one line per scenario and kind of limiter."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="the scenario of that name")
    parser.add_argument("--seeds", type=int, help="runs of each (default: as many as in the benchmark)")
    options = parser.parse_args(arguments)
    for scenario in SCENARIOS:
        if options.only not in (None, scenario.name):
            continue
        for kind in ("fixed", "leaky"):
            print(describe(play(scenario, kind, options.seeds or scenario.runs)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
