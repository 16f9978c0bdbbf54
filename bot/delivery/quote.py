"""A reply that begins with the question: others cannot see what was typed into a command."""

from __future__ import annotations

from collections.abc import Sequence

from bot.delivery.sinks import MessagesSink
from bot.markdown.files import File
from bot.markdown.text import escape_markdown
from bot.streaming.sink import Bucket, Sent

_QUESTION_LENGTH = 150


def quote(question: str) -> str:
    """Return *question* as one quoted line that Discord shows as it was typed, cut when it is long."""
    line = " ".join(question.split())
    if len(line) > _QUESTION_LENGTH:
        line = line[: _QUESTION_LENGTH - 1] + "…"
    return f"> {escape_markdown(line)}\n"


class QuotedSink:
    """Puts *header* before the first message of another sink.

    What is above never sees it: neither the reply's text nor what counts as
    shown. The header's room is to be left free in each page.
    """

    def __init__(self, sink: MessagesSink, header: str) -> None:
        self._sink = sink
        self._header = header
        self._has_posted = False

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the messages so far."""
        return self._sink.message_ids

    @property
    def limit(self) -> int:
        """Code points that a message has room for below the header."""
        return self._sink.limit - len(self._header)

    def post_bucket(self) -> Bucket:
        """Return the inner sink's."""
        return self._sink.post_bucket()

    def edit_bucket(self) -> Bucket:
        """Return the inner sink's."""
        return self._sink.edit_bucket()

    async def post(self, text: str) -> Sent:
        """Send the next message, the first one with the header."""
        if self._has_posted:
            return await self._sink.post(text)
        sent = await self._sink.post(self._header + text)
        self._has_posted = True
        return Sent(sent.text.removeprefix(self._header), sent.headers)

    async def edit(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Replace a message's text below the header."""
        header = self._header if ordinal == 0 else ""
        sent = await self._sink.edit(ordinal, header + text, file)
        return Sent(sent.text.removeprefix(header), sent.headers)

    async def replace(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Post a new message in place of one, below the header."""
        header = self._header if ordinal == 0 else ""
        sent = await self._sink.replace(ordinal, header + text, file)
        return Sent(sent.text.removeprefix(header), sent.headers)

    def redirect(self, channel_id: int) -> None:
        """Tell the inner sink."""
        self._sink.redirect(channel_id)

    def place(self, ordinal: int) -> tuple[int, int]:
        """Return the inner sink's."""
        return self._sink.place(ordinal)
