"""What the fault tables have in common: a fault, how it must end, and looking at that end.

The prompt and the answers hold marked words, so that a log that quotes them is
caught; the settings hold secrets, for the same reason.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import unicodedata
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.conversation.records import ReplyState
from bot.errors import OllamaError
from tests.scripted_ollama import DEFAULT_TEXT, Script
from tests.whole.stack import CURSOR, Stack, running

API_KEY = "ollama-key-0123456789"
QUESTION = "Was the quaggawort in bloom?"
KEPT = "Yes the zorillafern was"
"""What the model says before something goes wrong."""
MARKED = ("quaggawort", "zorillafern")
FAILED, COMPLETE, STOPPED = ReplyState.FAILED, ReplyState.COMPLETE, ReplyState.STOPPED

_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Fault:
    """What the model server does, and what must come of it.

    Attributes:
        script: played to each of the *times* requests.
        says: words of our own closing line; empty: there is none.
        kept: the model's text that stays on screen, line by line.
        stored: the text in the database if it is not *kept*.
        state: the row's.
        log: words in the log by which the cause is found.
        times: requests that it takes.
    """

    script: Script
    says: str = ""
    kept: str = ""
    stored: str | None = None
    state: ReplyState = FAILED
    log: str = ""
    times: int = 1


def line(content: Any, **rest: Any) -> bytes:
    """One line of a chat, raw: nothing is escaped that need not be."""
    message = {"message": {"role": "assistant", "content": content}, "done": False}
    return json.dumps(message | rest, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


@contextlib.asynccontextmanager
async def faulty(tmp_path: Path, **settings: Any) -> AsyncIterator[Stack]:
    """A running bot whose settings hold secrets."""
    async with running(tmp_path, ollama_api_key=API_KEY, **settings) as stack:
        yield stack


@dataclass
class Seen:
    """How one reply ended.

    Attributes:
        texts: what each of its messages shows.
        state, text: its row's.
    """

    texts: list[str]
    state: str
    text: str
    pinged: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        return "\n".join(self.texts)

    @property
    def lines(self) -> list[str]:
        """Our own closing lines."""
        return [text for text in self.shown.splitlines() if text.startswith("-# ")]


async def ask(stack: Stack, question: str = QUESTION, *, channel: str | None = None) -> Seen:
    """Ask in a channel of its own and wait for the end."""
    where = channel or new_channel(stack)
    before = len(stack.replies(where))
    prompt = stack.ask(question, channel=where)
    await stack.until(lambda: len(stack.replies(where)) > before)
    await stack.idle()
    replies = stack.replies(where)[before:]
    state, text = row(stack, prompt["id"])
    pinged = [user for reply in replies for user in reply["pinged"]]
    return Seen([reply["content"] for reply in replies], state, text, pinged)


def new_channel(stack: Stack) -> str:
    """A channel in which nothing was said yet."""
    return str(stack.world.create_channel(f"c{len(stack.world.channels)}")["id"])


def row(stack: Stack, prompt_id: str) -> tuple[str, str]:
    """State and text of the reply to a prompt, as the database has them."""
    with contextlib.closing(sqlite3.connect(stack.settings.data_dir / "burble.db")) as database:
        statement = "SELECT state, text FROM reply WHERE prompt_id = ? ORDER BY variant DESC"
        return database.execute(statement, (int(prompt_id),)).fetchone()


def check_clean(stack: Stack, seen: Seen, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happened: nothing unfinished or harmful on screen, nothing private in the log."""
    assert CURSOR not in seen.shown
    assert seen.pinged == []
    assert all(0 < len(text) <= 2000 for text in seen.texts)
    assert not [char for char in seen.shown if char != "\n" and unicodedata.category(char) == "Cc"]
    assert not _BIDI & set(seen.shown)
    assert not [record for record in caplog.records if record.exc_info], "a traceback for what was to be expected"
    assert not [record for record in caplog.records if record.name == "asyncio"]
    for operators in (stack.ollama.url.removeprefix("http://"), str(stack.settings.data_dir), "Traceback"):
        assert operators not in seen.shown
    for private in (*MARKED, API_KEY, stack.discord.token):
        assert private not in caplog.text


def _causes(kind: type[OllamaError]) -> Iterator[type[OllamaError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _causes(narrower)


def check(fault: Fault, seen: Seen, caplog: pytest.LogCaptureFixture) -> None:
    """Compare how a reply ended with how it must."""
    body = [text for text in seen.shown.splitlines() if text not in seen.lines] if fault.kept else []
    assert "\n".join(body) == fault.kept
    assert seen.text == (fault.kept if fault.stored is None else fault.stored)
    assert seen.state == fault.state
    if not fault.says:
        assert seen.shown == fault.kept
    elif fault.kept:
        assert fault.says in "\n".join(seen.lines)
    else:
        assert fault.says in seen.shown
        assert seen.shown.startswith("⚠️ ") is (fault.state is FAILED)
    assert fault.log in caplog.text
    if fault.state is FAILED:
        assert any(f": {kind.__name__}" in caplog.text for kind in _causes(OllamaError)), "the log names no cause"
    assert f": {fault.state}" in caplog.text


async def suffer(stack: Stack, fault: Fault, caplog: pytest.LogCaptureFixture, *, channel: str = "") -> Seen:
    """Let *fault* happen and check its end."""
    caplog.set_level(logging.INFO)
    for _ in range(fault.times):
        stack.ollama.enqueue(fault.script)
    asked = len(stack.ollama.chats)
    where = channel or new_channel(stack)
    seen = await ask(stack, channel=where)
    check(fault, seen, caplog)
    check_clean(stack, seen, caplog)
    assert len(stack.ollama.chats) - asked == fault.times
    await stack.ollama.closed(-1)
    return seen


def table(faults: dict[str, Fault]) -> Any:
    return pytest.mark.parametrize("fault", faults.values(), ids=faults)


async def happens(stack: Stack, fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    """Let *fault* happen in a new channel, then ask something there again."""
    channel = new_channel(stack)
    await suffer(stack, fault, caplog, channel=channel)
    after = await ask(stack, "And now?", channel=channel)
    assert (after.texts, after.state) == ([DEFAULT_TEXT], COMPLETE)
