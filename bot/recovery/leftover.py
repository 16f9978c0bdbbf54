"""A reply that an earlier process left: what stands of it, and how it is to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.conversation.records import ReplyMessage, ReplyState, UnfinishedReply
from bot.markdown.failsafe import FailsafePages
from bot.recovery.found import Found
from bot.streaming.calls import State
from bot.streaming.transcript import Transcript

INTERRUPTED = "⏹️ interrupted by a restart"
"""How a reply ends that another process has to close."""

_ALIKE = 20  # code points that a page begins with at most, however it grew


@dataclass(frozen=True, slots=True)
class Leftover:
    """What an earlier process left of a reply.

    Attributes:
        transcript: what stands on screen.
        found: what was looked up, None if nothing could be.
    """

    reply: UnfinishedReply
    transcript: Transcript
    found: Found | None

    @property
    def is_prompt_gone(self) -> bool:
        """Whether the question was deleted."""
        return self.found is not None and self.found.is_prompt_gone

    @property
    def is_deleted(self) -> bool:
        """Whether somebody deleted one of the messages."""
        return any(each.state is State.GONE for each in self.transcript.messages)

    def texts(self) -> list[str]:
        """Return what the messages show of the text, in order; of one that is written anew only what is new."""
        there = [each for each in self.transcript.messages if each.state is not State.GONE]
        if self.reply.text and self.reply.state is ReplyState.STREAMING:
            rows = {row.message_id: row for row in self.reply.messages if row.message_id}
            there = [each for each in there if not _is_older(each.shown, rows.get(each.place.message_id or 0))]
        return [each.bare(self.transcript.head(each)).strip() for each in there]

    def controls(self) -> list[tuple[int, int]]:
        """Return the messages that our own ⏹️ is on, as far as known."""
        if self.found is None:
            newest = self.transcript.newest()
            return [(newest.channel_id, newest.message_id)] if newest is not None and newest.message_id else []
        ours = set(self.transcript.message_ids())
        seen = self.found.messages.values()
        return [(each.channel_id, each.message_id) for each in seen if each.has_control and each.message_id in ours]

    def final_pages(self, mode: Literal["discord", "raw"], max_messages: int) -> tuple[str, FailsafePages]:
        """Return what the model wrote and its pages, without loss of what is on screen."""
        reply, shown, limit = self.reply, self.texts(), self.transcript.room(0)
        drafts = FailsafePages(limit=limit, mode=mode, last=max_messages)
        drafts.feed(reply.text)
        drafts.finish(interrupted=True)
        if reply.state is ReplyState.STREAMING and _knows_more(shown, drafts.closed):
            # The store had trouble before the kill; what is on screen is rendered already.
            return "\n".join(shown), FailsafePages(limit=limit, mode="raw", last=max_messages)
        return reply.text, FailsafePages(limit=limit, mode=mode, last=max_messages)

    def footer(self, text: str) -> str:
        """Return our own closing words: those it ended with, or that it was interrupted."""
        if self.reply.state is not ReplyState.STREAMING:
            return self.reply.footer
        return f"-# {INTERRUPTED}" if text else f"{INTERRUPTED}. Please ask again."


def _is_older(shown: str, row: ReplyMessage | None) -> bool:
    """Tell whether a message shows what it did before the answer was begun anew, and *row* knows better."""
    if row is None or not row.text:
        return row is not None
    alike = min(_ALIKE, len(row.text) // 2)
    is_other = shown[:alike] != row.text[:alike] and not row.is_status
    return is_other and (not row.shown or shown == row.shown)


def _knows_more(shown: Sequence[str], pages: Sequence[str]) -> bool:
    """Tell whether more of the text is on screen than in *pages*.

    A page that still grew may show what a later one begins with, so the last
    one decides; the sum, in case the pages are cut otherwise than they were.
    """
    last = len(shown) - 1
    if last < 0 or letters(shown[last]) <= sum(map(letters, pages[last:])):
        return False
    return sum(map(letters, shown)) > sum(map(letters, pages))


def letters(text: str) -> int:
    """Return how many letters and digits *text* shows, our own lines left out."""
    lines = (line for line in text.splitlines() if not line.startswith(("-# ", INTERRUPTED)))
    return sum(char.isalnum() for line in lines for char in line)
