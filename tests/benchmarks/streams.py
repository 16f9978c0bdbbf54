"""The streams that the benchmark plays: tokens that can be told apart on the screen, at exact rates."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

_WORD = re.compile(r"\bw(\d+)\b")
_CURSOR = "▌"


@dataclass(frozen=True)
class Scenario:
    """One line of the benchmark's table.

    Attributes:
        name: as ``--only`` takes it.
        tokens: mean length of a reply; seeds vary it by a quarter.
        rate: tokens per second.
        channels: replies at once, each in a channel of its own unless *shared*.
        spread: seconds over which their starts are spread.
        is_markdown: whether the text is Markdown (else plain words).
        is_shared: whether all replies run in one channel at once, the second of them a command's.
        is_queued: whether they run in one channel, one after the other.
        runs: how many seeded runs a full benchmark makes of each limiter.
        stagger: seconds from the start of a run to the start of the next; they
            may overlap as long as they do not disturb each other.
    """

    name: str
    tokens: int
    rate: float
    channels: int = 1
    spread: float = 0.0
    is_markdown: bool = False
    is_shared: bool = False
    is_queued: bool = False
    runs: int = 20
    stagger: float = 1.1


SCENARIOS = (
    Scenario("short", 20, 40.0, stagger=0.8),
    Scenario("answer", 600, 40.0),
    Scenario("markdown", 3000, 150.0, is_markdown=True, stagger=5.3),
    Scenario("1-channel", 300, 30.0),
    Scenario("5-channels", 300, 30.0, channels=5, spread=0.5, runs=4, stagger=4.2),
    Scenario("20-channels", 300, 30.0, channels=20, spread=2.0, runs=1),
    Scenario("50-channels", 300, 30.0, channels=50, spread=5.0, runs=1),
    Scenario("50-at-once", 300, 30.0, channels=50, runs=1),
    Scenario("200-channels", 100, 8.0, channels=200, spread=8.0, runs=1),
    Scenario("two-in-one", 300, 30.0, channels=2, is_shared=True, runs=20, stagger=1.7),
    Scenario("100-fast", 600, 40.0, channels=100, spread=2.0, runs=1),
    Scenario("next-question", 2400, 1000.0, channels=2, spread=0.2, is_queued=True, runs=10, stagger=1.7),
)


def length(scenario: Scenario, seed: int) -> int:
    """Return how many tokens reply number *seed* has: the mean ± 25 %."""
    return round(scenario.tokens * random.Random(seed * 7919 + 17).uniform(0.75, 1.25))


def make_tokens(count: int, seed: int, *, is_markdown: bool = False, base: int = 0) -> list[str]:
    """Return *count* tokens whose joined text holds the words w0, w1, … (from *base* on) once each, in order."""
    if not is_markdown:
        return [f"w{i} " for i in range(base, base + count)]
    rng = random.Random(seed)
    tokens: list[str] = []
    while len(tokens) < count:
        tokens += rng.choice(_BLOCKS)(base + len(tokens), rng)
    return tokens[:count]


def page_breaks(tokens: list[str], limit: int = 2000) -> list[int]:
    """Return the first token of each further message if messages are filled to the last code point."""
    breaks: list[int] = []
    size = 0
    for i, token in enumerate(tokens):
        size += len(token)
        if size > limit:
            breaks.append(i)
            size = len(token)
    return breaks


def _paragraph(start: int, rng: random.Random) -> list[str]:
    made = [f"w{i} " for i in range(start, start + rng.randint(25, 70))]
    bold = rng.randrange(2, len(made) - 6)
    made[bold] = f"**{made[bold]}"
    made[bold + 3] = f"{made[bold + 3].strip()}** "
    made[bold + 5] = f"`{made[bold + 5].strip()}` "
    made[-1] = made[-1].strip() + ".\n\n"
    return made


def _bullets(start: int, rng: random.Random) -> list[str]:
    made: list[str] = []
    for _ in range(rng.randint(3, 7)):
        first = start + len(made)
        item = [f"w{i} " for i in range(first, first + rng.randint(5, 14))]
        item[0] = f"- {item[0]}"
        item[-1] = item[-1].strip() + "\n"
        made += item
    made[-1] += "\n"
    return made


def _code(start: int, rng: random.Random) -> list[str]:
    made: list[str] = []
    for _ in range(rng.randint(4, 16)):
        first = start + len(made)
        line = [f"w{i} " for i in range(first, first + rng.randint(3, 8))]
        line[0] = "    " * rng.randint(0, 2) + line[0]
        line[-1] = line[-1].strip() + "\n"
        made += line
    made[0] = f"```python\n{made[0]}"
    made[-1] += "```\n\n"
    return made


def _heading(start: int, rng: random.Random) -> list[str]:
    made = [f"w{i} " for i in range(start, start + rng.randint(2, 5))]
    made[0] = f"## {made[0]}"
    made[-1] = made[-1].strip() + "\n\n"
    return made


_BLOCKS = (_paragraph, _paragraph, _bullets, _code, _heading)


def numbers(text: str) -> list[int]:
    """Return the numbers of the words that *text* shows, in order."""
    return [int(number) for number in _WORD.findall(text)]


def is_growing(text: str) -> bool:
    """Tell whether a message still has its cursor."""
    return _CURSOR in text
