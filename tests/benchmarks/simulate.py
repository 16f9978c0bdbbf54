"""The pacing alone, in virtual time: the real budget and streamer against a Discord in memory.

    python -m tests.benchmarks.simulate [--only NAME] [--seeds N]

Takes seconds where the benchmark takes minutes, and is the same every time: a
change of `bot.streaming.bucket` is judged here first. Computing takes no time
here, so the figures are the pace's own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from bot.markdown.splitter import Splitter
from bot.streaming.budget import EditBudget
from bot.streaming.streamer import ReplyStreamer
from tests.benchmarks.lags import ReplyTrace
from tests.benchmarks.report import Outcome, head, line, row
from tests.benchmarks.streams import SCENARIOS, Scenario, length, make_tokens, page_breaks
from tests.streaming.simulated import LimiterKind, SimulatedDiscord, SimulatedSink
from tests.streaming.virtual_time import run

_PAUSE_BETWEEN_RUNS = 12.0


async def play_reply(
    discord: SimulatedDiscord, budget: EditBudget, channel: int, tokens: list[str], rate: float
) -> ReplyTrace:
    """Stream *tokens* into a channel; return what was seen when."""
    loop = asyncio.get_running_loop()
    sink = SimulatedSink(discord, channel)
    streamer = ReplyStreamer(sink, Splitter(), budget, max_messages=1000)
    writer = asyncio.create_task(streamer.run())
    trace = ReplyTrace(breaks=page_breaks(tokens))
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
    outcome = Outcome(scenario, kind)
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
        return await play_reply(
            discord, budget, channel, make_tokens(count, seed, is_markdown=scenario.is_markdown), scenario.rate
        )

    return await asyncio.gather(*(one(i) for i in range(scenario.channels)))


def play(scenario: Scenario, kind: LimiterKind, seeds: int) -> Outcome:
    """Play *seeds* runs of *scenario* one after the other against one budget."""
    return run(_play(scenario, kind, seeds))


def main(arguments: list[str]) -> None:
    """Print one line per scenario and kind of limiter."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="the scenario of that name")
    parser.add_argument("--seeds", type=int, help="runs of each (default: as many as in the benchmark)")
    options = parser.parse_args(arguments)
    print(line(head()))
    for scenario in SCENARIOS:
        if options.only not in (None, scenario.name):
            continue
        for kind in ("fixed", "leaky"):
            print(line(row(play(scenario, kind, options.seeds or scenario.runs))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
