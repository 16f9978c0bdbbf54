"""What must hold when all is over: on screen, in the database, and between the two."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from bot.playground.loopback.seed import BOT_ID
from bot.playground.loopback.world import World

Query = Callable[[str], list[tuple[Any, ...]]]
"""Asks the database."""

CURSOR = "▌"
INTERRUPTED = "⏹️ interrupted by a restart"
TOLD = f"{INTERRUPTED}. Please ask again."
WORD = re.compile(r"q(\d+)w(\d+)\b")


class Witness:
    """Remembers every word that was ever on screen."""

    def __init__(self, world: World) -> None:
        self.seen: dict[int, set[int]] = defaultdict(set)  # number of the question → indices of words
        world.subscribe(self._note)

    def _note(self, name: str, payload: dict[str, Any]) -> None:
        if name in {"MESSAGE_CREATE", "MESSAGE_UPDATE"} and payload.get("author", {}).get("id") == BOT_ID:
            # the last word before the cursor may have been half a word
            for number, index in WORD.findall(re.sub(r"\w+\W*▌.*", "", payload["content"], flags=re.DOTALL)):
                self.seen[int(number)].add(int(index))


def check(world: World, witness: Witness, query: Query, asked: dict[str, int]) -> list[str]:
    """Return a sentence for everything that is not as it must be."""
    messages = [
        message
        for channel_id in world.channels
        for message in world.messages(channel_id)
        if message["author"]["id"] == BOT_ID and not message["flags"] & 64
    ]
    problems = [problem for message in messages for problem in frozen(message)]
    replies, shown = stored(query)
    problems += [
        f"prompt {prompt} has {count} replies" for prompt, count in Counter(r[1] for r in replies).items() if count > 1
    ]
    by_id = {message["id"]: message for message in messages}
    owners: dict[str, int] = {}
    for reply_id, prompt_id, state, text, is_open in replies:
        pages = [by_id.pop(each, None) for each in shown.get(reply_id, [])]
        for each in shown.get(reply_id, []):
            if owners.setdefault(each, reply_id) != reply_id:
                problems.append(f"message {each} shows two replies")
        name = f"reply {reply_id} ({state}, question {asked[str(prompt_id)]})"
        if is_open:
            problems.append(f"{name} is still open")
        if not pages or None in pages:
            problems.append(f"{name} has no message, or one that is gone: {shown.get(reply_id)}")
            continue
        problems += [f"{name}: {problem}" for problem in _matches(pages, text, state, asked[str(prompt_id)], witness)]
    told = {prompt_of(message) for message in by_id.values() if message["content"] == TOLD}
    for message in by_id.values():
        if prompt_of(message) not in told:
            problems.append(f"message {message['id']} belongs to nothing: {message['content'][:80]!r}")
    known = {str(reply[1]) for reply in replies}
    problems += [
        f"question {asked[each]} met silence" for each in asked.keys() - known - told if not _failed(world, each)
    ]
    return problems


def _failed(world: World, prompt_id: str) -> bool:
    """Whether Discord itself told who used a command that the bot did not respond."""
    interaction = world.interactions.all.get(prompt_id)
    return interaction is not None and interaction.state == "failed"


def prompt_of(message: dict[str, Any]) -> str:
    """Return the id of the prompt or interaction that a message of the bot answers."""
    source = message.get("interaction_metadata") or {}
    return str(source.get("id", (message.get("message_reference") or {}).get("message_id")))


def frozen(message: dict[str, Any]) -> list[str]:
    """Return what a message still shows although nothing is going on any more."""
    problems = []
    if CURSOR in message["content"]:
        problems.append(f"message {message['id']} keeps its cursor: {message['content'][-80:]!r}")
    if "⏳" in message["content"]:
        problems.append(f"message {message['id']} still waits: {message['content']!r}")
    if any(reaction["me"] for reaction in message.get("reactions", ())):
        problems.append(f"message {message['id']} keeps our reaction")
    return problems


def _matches(pages: list[Any], text: str, state: str, number: int, witness: Witness) -> list[str]:
    """Compare what is on screen with the row, and both with what once was on screen."""
    problems = []
    # the question above an /ask is not the model's
    content = "\n".join(re.sub(r"\A> .*", "", page["content"]) for page in pages)
    lines = [line for line in content.splitlines() if not line.startswith("-# ")]
    on_screen = re.findall(r"\w+", "\n".join(lines))
    stored = re.findall(r"\w+", text)
    if text and on_screen != stored:
        problems.append(f"the screen has {len(on_screen)} words, the row {len(stored)}: {on_screen[-3:]} {stored[-3:]}")
    indices = [int(index) for _, index in WORD.findall(text)]
    whole = [word for word in stored if WORD.fullmatch(word)]
    if indices != list(range(len(whole))):
        problems.append("words are missing, doubled or out of order")
    lost = witness.seen[number] - set(indices)
    if lost:
        problems.append(f"words that were on screen are lost: {sorted(lost)[:5]} of {len(stored)}")
    if state == "interrupted" and content.count(INTERRUPTED) != 1:
        problems.append(f"it does not say once that it was interrupted: {content[-120:]!r}")
    if state == "complete" and INTERRUPTED in content:
        problems.append("it is complete and says that it was interrupted")
    if not text and INTERRUPTED not in content:
        problems.append(f"it was neither answered nor told: {content!r}")
    return problems


def stored(query: Query) -> tuple[list[tuple[Any, ...]], dict[int, list[str]]]:
    """Return the rows of all replies, and the ids of each one's messages in order."""
    shown: dict[int, list[str]] = defaultdict(list)
    for reply_id, message_id in query("SELECT reply_id, message_id FROM reply_message ORDER BY reply_id, ordinal"):
        shown[reply_id].append(str(message_id))
    return query("SELECT id, prompt_id, state, text, is_open FROM reply"), shown
