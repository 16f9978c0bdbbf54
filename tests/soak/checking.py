"""What must hold for each question when all is over: on screen, in the database, and between the two."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bot.playground.loopback.seed import BOT_ID
from bot.playground.loopback.world import World
from tests.kills.checking import WORD, Query, frozen, prompt_of, stored
from tests.soak.model import FlakyOllama
from tests.soak.people import People, Question, Screen

_EPHEMERAL, _LOADING = 64, 128
_BUSY = "wait"


@dataclass(frozen=True)
class _Reply:
    """A row of the database, with the messages that show it and are still there."""

    state: str
    text: str
    pages: list[Any]
    is_whole: bool  # no message was deleted


class Check:
    """Looks at everything; what is not as it must be stands in `problems`."""

    def __init__(self, world: World, screen: Screen, people: People, model: FlakyOllama, query: Query) -> None:
        self._world = world
        self._screen = screen
        self._people = people
        self._model = model
        self.states: Counter[str] = Counter()
        self.problems: list[str] = []
        self._messages = {
            message["id"]: message
            for channel_id in world.channels
            for message in world.messages(channel_id)
            if message["author"]["id"] == BOT_ID and not message["flags"] & _EPHEMERAL
        }
        self._read(query)

    def run(self) -> list[str]:
        """Return a sentence for each problem."""
        for message in self._messages.values():
            self.problems += frozen(message)
        for question in self._people.asked.values():
            reply = self._replies.pop(question.id, None)
            told = self._unanswered(question) if reply is None else self._answered(question, reply)
            self.problems += [f"question {question.number} ({question.id}): {problem}" for problem in told]
        self.problems += [f"a reply to nobody's prompt {prompt}" for prompt in self._replies]
        for message in self._messages.values():
            self.problems += self._explain(message)
        return self.problems

    def _read(self, query: Query) -> None:
        rows, shown = stored(query)
        self._replies: dict[str, _Reply] = {}
        for reply_id, prompt_id, state, text, is_open in rows:
            ids = shown.get(reply_id, [])
            pages = [self._messages.pop(each) for each in ids if each in self._messages]
            gone = set(ids) - {page["id"] for page in pages}
            if is_open:
                self.problems.append(f"reply {reply_id} is still open")
            # a message may be gone before the journal knew its id
            if gone - self._people.deleted - {"None"}:
                self.problems.append(f"reply {reply_id} is shown in messages that are not there: {gone}")
            if str(prompt_id) in self._replies:
                self.problems.append(f"prompt {prompt_id} has two replies")
            self._replies[str(prompt_id)] = _Reply(state, text, pages, is_whole=not gone)
            self.states[state] += 1
            for page in pages:
                self.problems += frozen(page)

    def _unanswered(self, question: Question) -> list[str]:
        """Explain a question without a reply: deleted in time, told in a sentence, or Discord said so."""
        told = self._screen.answers.get(question.id, "")
        if question.id in self._people.deleted | self._screen.failed or told.startswith("⚠️"):
            self.states["told"] += 1
            return []
        return [f"nobody answered it (at {question.at:.1f})"]

    def _answered(self, question: Question, reply: _Reply) -> list[str]:
        problems = self._reasons(question, reply)
        indices = [int(index) for number, index in WORD.findall(reply.text) if int(number) == question.number]
        if indices != list(range(len(_words(reply.text)))):
            problems.append(f"words are missing, doubled, foreign or out of order: {reply.text[:200]!r}")
        lost = self._screen.seen[question.number] - set(indices)
        if lost:
            problems.append(f"words that were on screen are lost: {sorted(lost)[:5]} of {len(indices)}")
        if reply.state == "complete" and not self._model.faults[question.number] and len(indices) != question.length:
            problems.append(f"it is complete with {len(indices)} of {question.length} words")
        return problems + (self._shown(reply) if reply.text else self._told(question, reply))

    def _reasons(self, question: Question, reply: _Reply) -> list[str]:
        """Tell if it ended otherwise than well and nobody and nothing gave a reason."""
        content = self._content(question, reply)
        if reply.state == "stopped" and question.number not in self._people.disturbed:
            return [f"it was stopped by nobody: {content[-200:]!r}"]
        if reply.state == "failed" and not self._model.faults[question.number] and _BUSY not in content:
            return [f"it failed without a fault: {content[-200:]!r}"]
        if reply.state not in {"stopped", "failed", "complete"}:
            return [f"its state is {reply.state}"]
        return []

    def _shown(self, reply: _Reply) -> list[str]:
        """Compare what is on screen with the row."""
        row = _words(reply.text)
        shown = [_words(_body(page["content"])) for page in reply.pages]
        if not reply.is_whole:
            torn = [words for words in shown if words and not _is_run(words, row)]
            return [f"a page shows what the row has not: {torn[0][:3]}"] if torn else []
        problems = []
        on_screen = [word for words in shown for word in words]
        files = [file for page in reply.pages for file in page["attachments"]]
        if files:
            if self._read_file(files[0]) != reply.text:
                problems.append("the attached file is not the whole answer")
            row = row[: len(on_screen)]
        if on_screen != row:
            problems.append(f"the screen has {len(on_screen)} words, the row {len(row)}: {on_screen[-3:]} {row[-3:]}")
        if reply.state != "complete" and not re.search("^-# ", reply.pages[-1]["content"], re.MULTILINE):
            problems.append(f"it is {reply.state} and does not say why: {reply.pages[-1]['content'][-200:]!r}")
        return problems

    def _told(self, question: Question, reply: _Reply) -> list[str]:
        """Look for the sentence of a reply without text, unless its prompt is gone, or the message with it."""
        if question.id in self._people.deleted or not reply.is_whole:
            return []
        return [] if self._content(question, reply).strip() else [f"it is {reply.state} without a word"]

    def _content(self, question: Question, reply: _Reply) -> str:
        """Return what is on screen: of a reply that the store could not follow, what answers the prompt."""
        if not reply.pages:
            return self._screen.answers.get(question.id, "")
        return "\n".join(page["content"] for page in reply.pages)

    def _read_file(self, file: dict[str, Any]) -> str:
        stored_file = self._world.state.files.get(file["id"], file["filename"])
        assert stored_file is not None
        return stored_file.data.decode()

    def _explain(self, message: dict[str, Any]) -> list[str]:
        """Tell of a message that belongs to no reply: it must be a whole sentence, or its question was deleted."""
        content, source = message["content"], prompt_of(message)
        if source in self._people.deleted or (content and not WORD.search(content) and source != "None"):
            return []
        return [f"message {message['id']} for {source} belongs to nothing (flags {message['flags']}): {content[:80]!r}"]


def _body(content: str) -> str:
    """Return the model's part of a message: without the question above an /ask and our own lines below."""
    lines = re.sub(r"\A> .*", "", content).splitlines()
    return "\n".join(line for line in lines if not line.startswith("-# "))


def _words(text: str) -> list[str]:
    # a block that goes on in the next message names its language again
    return re.findall(r"\w+", re.sub(r"```\w+", "```", text))


def _is_run(words: list[str], whole: list[str]) -> bool:
    """Tell whether *words* stand in *whole* one after the other."""
    first = whole.index(words[0]) if words[0] in whole else len(whole)
    return whole[first : first + len(words)] == words
