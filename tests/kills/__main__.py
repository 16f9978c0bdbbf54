"""``python -m tests.kills``: kill the bot at random moments; nothing may be lost, frozen, doubled or left silent."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.kills.killing import KillRun
from tests.postgresql import running_postgresql


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often the bot is killed (default: 200)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the random choices")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where to keep the database and the log")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite", help="(default: sqlite)")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        settings = {}
        if options.database == "postgresql":
            settings["DATABASE_URL"] = stack.enter_context(stack.enter_context(running_postgresql()).database())
        directory = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_run(options.kills, options.seed, directory, settings))


async def _run(kills: int, seed: int, directory: Path, settings: dict[str, str]) -> int:
    began = time.monotonic()
    run = KillRun(directory, seed=seed, settings=settings, progress=lambda line: print(line, flush=True))
    result = await run.play(kills)
    for problem in result.problems:
        print(f"  PROBLEM: {problem}")
    print(f"{result.summary} Seed {seed}, {time.monotonic() - began:.0f} s.")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
