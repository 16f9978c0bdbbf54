"""``python -m tests.soak``: half an hour of load and faults; nothing may be lost, left over or grow."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.soak.soaking import Plan, Soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long people ask (default: 30)")
    parser.add_argument("--tokens", type=int, default=500_000, help="how many the model sends (default: 500000)")
    parser.add_argument("--channels", type=int, default=60, help="where they talk (default: 60)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the random choices")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where to keep the database and the log")
    options = parser.parse_args()
    plan = Plan(options.minutes * 60, options.tokens, options.channels, options.seed)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_run(plan, options.keep))
    with tempfile.TemporaryDirectory(prefix="burble-soak-") as directory:
        return asyncio.run(_run(plan, Path(directory)))


async def _run(plan: Plan, directory: Path) -> int:
    soak = Soak(directory, plan, progress=lambda line: print(line, flush=True))
    await soak.play()
    for problem in soak.problems:
        print(f"  PROBLEM: {problem}")
    print(f"{soak.summary}. Seed {plan.seed}.")
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
