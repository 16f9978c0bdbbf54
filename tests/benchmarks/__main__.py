"""The benchmark: how fresh the text on the screen is, and what that costs.

    python -m tests.benchmarks [--quick] [--only NAME] [--kind fixed|leaky] [--markdown]

Bot, Discord and model server are processes of their own on 127.0.0.1, with a
round trip of 80 ms to Discord. The model server notes when it emitted each
token, Discord when the token was first visible in a message. Every lag stands
beside the best that the limits allow for that very stream (`optimum.py`);
`ratio` is the mean over the replies of theirs. Columns, in seconds: the lag
token emitted → visible (mean, best, ratio, p95), first token → first text, last
token → everything shown and finished, each with its ratio to half a round trip;
edits per reply, refused requests, tokens missing, doubled or out of order at the
end, the worst reply's mean lag against the median's, the bot's seconds of CPU
per 1000 tokens and its peak memory. Last comes a long conversation (`conversation.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import platform
import sys
import time

from tests.benchmarks import conversation
from tests.benchmarks.report import head, line, markdown, row, shares, waits
from tests.benchmarks.stage import Stage, stage
from tests.benchmarks.streams import SCENARIOS, Scenario
from tests.streaming.simulated import LimiterKind

# Windows and leaking buckets of one scenario must not reach into the next.
_PAUSE = 6.0
_CONVERSATION = "conversation"
_QUICK_RUNS = {1: 4, 2: 2}  # by the number of channels; else one


def chosen(only: str | None, *, quick: bool) -> list[Scenario]:
    """Return the scenarios to play; a quick benchmark plays fewer runs of them."""
    scenarios = [scenario for scenario in SCENARIOS if only in (None, scenario.name)]
    if not scenarios and only != _CONVERSATION:
        names = ", ".join([*(s.name for s in SCENARIOS), _CONVERSATION])
        raise SystemExit(f"There is no scenario {only}. There are: {names}")
    if not quick:
        return scenarios
    return [dataclasses.replace(s, runs=min(s.runs, _QUICK_RUNS.get(s.channels, 1))) for s in scenarios]


async def _play_all(scenarios: list[Scenario], kind: LimiterKind) -> list[list[str]]:
    async with stage(kind) as played:
        print(f"# {kind}: ready after {played.start_cpu:.2f} s of CPU, {played.idle_memory:.0f} MiB idle", flush=True)
        return [await _play(played, scenario) for scenario in scenarios]


async def _play(played: Stage, scenario: Scenario) -> list[str]:
    outcome = await played.play(scenario, scenario.runs)
    if scenario.is_queued:
        print(f"{scenario.name}, {outcome.kind}: {waits(outcome)}", flush=True)
        await asyncio.sleep(_PAUSE)
        return []
    cells = row(outcome)
    print(line(cells), flush=True)
    if scenario.is_shared:
        print(f"             {shares(outcome)}", flush=True)
    if outcome.backlog:
        print(f"             up to {outcome.backlog} bytes waited in the model server", flush=True)
    await asyncio.sleep(_PAUSE)
    return cells


def main(arguments: list[str]) -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs: minutes instead of a quarter of an hour")
    parser.add_argument("--only", metavar="NAME", help="the scenario of that name")
    parser.add_argument("--kind", choices=("fixed", "leaky"), help="one kind of limiter (default: both)")
    parser.add_argument("--markdown", action="store_true", help="print the README's table as well")
    options = parser.parse_args(arguments)
    scenarios = chosen(options.only, quick=options.quick)
    began = time.monotonic()
    print(f"# Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(line(head()))
    kinds: tuple[LimiterKind, ...] = ("fixed", "leaky")
    chosen_kinds = [kind for kind in kinds if scenarios and options.kind in (None, kind)]
    played = [asyncio.run(_play_all(scenarios, kind)) for kind in chosen_kinds]
    if options.only in (None, _CONVERSATION):
        print(f"{_CONVERSATION}: {asyncio.run(conversation.played()).told()}", flush=True)
    if options.markdown:
        print(markdown(head()))
        for rows in zip(*played, strict=True):
            print("\n".join(markdown(cells) for cells in rows if cells))
    print(f"# {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
