"""The last calls of a reply: no cursor stays, and what another message stands in for is closed or deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.markdown.dress import REFUSED, has_cursor
from bot.streaming.calls import Closing, Left, Message, Place, State

if TYPE_CHECKING:
    from bot.streaming.transcript import Transcript


def closings(transcript: Transcript, wanted: int | None) -> list[Closing]:
    """Return what is left to be done when nothing more comes; *wanted* messages hold the text, if that is known."""
    rest = "the rest could not be shown" if transcript.moved_to is None else "the rest went to who asked"
    found = [*_of_messages(transcript, wanted, rest)]
    for left in transcript.left:
        found += _of_left(left, rest, transcript)
    is_cut = transcript.moved_to is not None or transcript.over is not None
    if (
        transcript.by_token
        and is_cut
        and not any(message.is_first and message.place.by_token for message in transcript.every())
    ):
        place = Place(transcript.channel_id, transcript.original_id, by_token=True)
        line = f"{transcript.header}{REFUSED}{rest.replace('rest', 'answer')}"
        found.append(Closing(Message(0, 0, place), line, then_delete=True))
    return found


def _of_messages(transcript: Transcript, wanted: int | None, rest: str) -> Iterator[Closing]:
    is_over, is_moved = transcript.over is not None, transcript.moved_to is not None
    here = [message for message in transcript.messages if message.place.channel_id == transcript.channel_id]
    last_ones = (here[-1:] if is_over or is_moved else []) + (transcript.messages[-1:] if is_over else [])
    for message in transcript.messages:
        if message.state is State.GONE:
            continue
        if wanted is not None and message.ordinal >= wanted and not is_over:
            yield Closing(message, None)  # of a text that was longer
            continue
        is_last = any(message is each for each in last_ones)
        text = message.closed(transcript.head(message), f"{REFUSED}{rest}")
        is_growing = message.state is not State.FINAL and has_cursor(message.shown)
        if (is_last or is_growing) and text != message.shown:
            yield Closing(message, text)


def _of_left(left: Left, rest: str, transcript: Transcript) -> Iterator[Closing]:
    is_moved = transcript.moved_to is not None
    message = left.message
    if message.place.message_id is None or message.state is State.GONE:
        return
    if left.is_replaced and not left.is_editable and not is_moved:
        yield Closing(message, None)
        return
    line = "continued below" if left.is_replaced and not is_moved else rest
    text = message.closed(transcript.head(message), f"{REFUSED}{line}")
    if text != message.shown:
        yield Closing(message, text, then_delete=left.is_replaced)
