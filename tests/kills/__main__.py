"""``python -m tests.kills``: kill the bot at random moments; nothing may be lost, frozen, doubled or left silent."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.kills.killing import KillRun


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often the bot is killed (default: 200)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the random choices")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where to keep the database and the log")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_run(options.kills, options.seed, options.keep))
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_run(options.kills, options.seed, Path(directory)))


async def _run(kills: int, seed: int, directory: Path) -> int:
    began = time.monotonic()
    run = KillRun(directory, seed=seed, progress=lambda line: print(line, flush=True))
    result = await run.play(kills)
    for problem in result.problems:
        print(f"  PROBLEM: {problem}")
    print(f"{result.summary} Seed {seed}, {time.monotonic() - began:.0f} s.")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
