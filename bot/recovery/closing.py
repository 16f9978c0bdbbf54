"""The parts of closing an interrupted reply: its final pages, its last words, a sink over its messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Literal

from bot.conversation.records import PromptKind, ReplyMessage, ReplyState, UnfinishedReply
from bot.conversation.store import Store
from bot.delivery.followups import Followups
from bot.delivery.interaction_sink import InteractionSink
from bot.delivery.quote import QuotedSink, quote
from bot.delivery.reply_api import Answer, ReplyApi
from bot.delivery.sinks import ChannelSink, Journal, MessagesSink
from bot.errors import StoreError
from bot.markdown.failsafe import FailsafePages
from bot.recovery.screen import INTERRUPTED, Screen, letters
from bot.streaming.streamer import Pages

log = logging.getLogger(__name__)

PAGE_LIMIT = 2000
"""Code points of a Discord message."""


class ClosingJournal:
    """Notes the messages of a reply that is being closed: a kill may come now as well."""

    def __init__(self, store: Store, reply_id: int) -> None:
        self._store = store
        self._reply_id = reply_id

    async def note(self, ordinal: int, *, channel_id: int, nonce: str, message_id: int | None, text: str) -> None:
        """Write one message's state down; a store that fails does not keep the reply from being closed."""
        message = ReplyMessage(ordinal, channel_id, message_id, nonce, text)
        try:
            await self._store.write_down(self._reply_id, messages=[message])
        except StoreError as error:
            log.warning("Message %d of reply %d is not in the journal: %s", ordinal, self._reply_id, error)


class _FixedPages:
    """Pages as they stand on screen, for what the journal knows less of."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.closed = list(texts)
        self.is_nearly_full = False

    def feed(self, text: str) -> None:
        """Take nothing: the pages are whole."""

    def has_visible_text(self, *, interrupted: bool = False) -> bool:  # noqa: ARG002 — the protocol's
        """Return whether there is a page."""
        return bool(self.closed)

    def finish(self, footer: str = "", *, interrupted: bool = False) -> None:  # noqa: ARG002 — the protocol's
        """Add *footer* to the last page, or as one more."""
        if self.closed and len(self.closed[-1]) + 1 + len(footer) <= PAGE_LIMIT:
            self.closed[-1] = f"{self.closed[-1]}\n{footer}".strip()
        else:
            self.closed.append(footer)

    def tail(self, notice: str = "") -> str:  # noqa: ARG002 — the protocol's
        """Return nothing: no page is open."""
        return ""


def final_pages(
    reply: UnfinishedReply,
    shown: Sequence[str],
    page_limit: int,
    mode: Literal["discord", "raw"],
    max_messages: int | None = None,
) -> tuple[str, Pages]:
    """Return what the model wrote and its pages, without loss of what is *shown*; *max_messages* are shown."""
    drafts = FailsafePages(limit=page_limit, mode=mode, last=max_messages)
    drafts.feed(reply.text)
    drafts.finish(interrupted=True)
    if reply.state is ReplyState.STREAMING and _knows_more(shown, drafts.closed):
        # The store had trouble before the kill.
        return "\n".join(shown), _FixedPages(shown)
    return reply.text, FailsafePages(limit=page_limit, mode=mode, last=max_messages)


def _knows_more(shown: Sequence[str], pages: Sequence[str]) -> bool:
    """Tell whether more of the text is on screen than in *pages*.

    A page that still grew may show what a later one begins with, so the last
    one decides; the sum, in case the pages are cut otherwise than they were.
    """
    last = len(shown) - 1
    if last < 0 or letters(shown[last]) <= sum(map(letters, pages[last:])):
        return False
    return sum(map(letters, shown)) > sum(map(letters, pages))


def footer_of(reply: UnfinishedReply, text: str) -> str:
    """Return our own closing words: those it ended with, or that it was interrupted."""
    if reply.state is not ReplyState.STREAMING:
        return reply.footer
    return f"-# {INTERRUPTED}" if text else f"{INTERRUPTED}. Please ask again."


def header_of(reply: UnfinishedReply) -> str:
    """Return what stands above the answer: the question, if it was typed into a command."""
    return quote(reply.prompt.text) if reply.prompt.kind is PromptKind.ASK else ""


def shown_texts(reply: UnfinishedReply, screen: Screen) -> list[str]:
    """Return what the messages show in order, without cursor and header."""
    header = header_of(reply).rstrip()
    return [text.removeprefix(header).strip() for text in screen.texts]


def open_sink(
    courier: ReplyApi,
    journal: Journal,
    on_posted: Callable[[Answer], None],
    reply: UnfinishedReply,
    screen: Screen,
    *,
    refer: bool,
    followups: Followups,
) -> MessagesSink:
    """Open a sink over the messages that are there; more are posted as the earlier process would have done.

    With *refer* the first one may reply to the prompt. *followups* tells of a command's messages.
    """
    prompt, adopted = reply.prompt, _left_behind(screen)
    is_chat = prompt.kind is PromptKind.CHAT
    if prompt.token:
        sink: MessagesSink = InteractionSink(
            courier,
            journal,
            on_posted,
            channel_id=prompt.channel_id,
            token=prompt.token,
            original_id=None,
            nonce_seed=str(prompt.message_id),
            created_at=prompt.created_at,
            followups=followups,
            adopted=adopted,
        )
    else:
        sink = ChannelSink(
            courier,
            journal,
            on_posted,
            channel_id=prompt.channel_id,
            reply_to=prompt.message_id if is_chat and refer else None,
            nonce_seed=str(prompt.message_id),
            adopted=adopted,
        )
    return sink if is_chat else QuotedSink(sink, header_of(reply))


def _left_behind(screen: Screen) -> dict[int, Answer]:
    """Return the messages that are there, by ordinal, with what they are known to show."""
    return {
        ordinal: Answer(seen.message_id, seen.channel_id, seen.text if seen.is_certain else "", None)
        for ordinal, seen in screen.messages.items()
    }
