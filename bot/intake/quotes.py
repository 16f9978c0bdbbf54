"""Quotes of other messages: what somebody replied to, forwarded, or began a thread with.

Everything that a reader sees of the other message counts: its words, embeds,
Components V2, a poll, what it forwards itself, the names of its files. Of our
own messages only the model's words do, without the marks that we put around them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import discord

from bot.conversation.speaker_labels import clean_name
from bot.conversation.turn_text import QUOTE_LENGTH
from bot.intake.message_text import file_names, option_text, words_of
from bot.markdown.dress import without_cursor
from bot.parts import Part, Quote, QuoteKind

DELETED = "it was deleted"
FORBIDDEN = "older messages may not be read there"
HIDDEN = "Discord does not show it to this bot"
EMPTY = "it has no text"
UNREACHABLE = "Discord did not send it"

# Lines of ours below a text; no line of a model's begins with "-#".
_STATES = re.compile(r"(?:(?:\A|\n)-# [^\n]*)+\Z")
_QUESTION = re.compile(r"\A> [^\n]*(?:\n|\Z)")


def quote_of(message: discord.Message, kind: QuoteKind, me: discord.abc.User, *, sees_content: bool) -> Quote:
    """Return what *message* says; without *sees_content*, Discord hides the words of others from us."""
    is_own = message.author.id == me.id
    text = _own_text(message, me) if is_own else _text(message, me)
    files = [*message.attachments, *(file for each in message.message_snapshots for file in each.attachments)]
    nothing = EMPTY if is_own or sees_content or message.guild is None else HIDDEN
    return _quote(kind, text, files, clean_name(message.author.display_name), message.id, nothing, is_own=is_own)


def forwarded(message: discord.Message, me: discord.abc.User, *, sees_content: bool) -> list[Quote]:
    """Return what *message* forwards; Discord does not say who wrote it."""
    reference = message.reference
    is_forward = reference is not None and reference.type is discord.MessageReferenceType.forward
    if not is_forward and not message.message_snapshots:
        return []
    source_id = reference.message_id if reference is not None else None
    nothing = EMPTY if sees_content or message.guild is None else HIDDEN
    shown = [(_snapshot_text(each, message.guild, me), each.attachments) for each in message.message_snapshots]
    return [_quote(QuoteKind.FORWARD, text, files, "", source_id, nothing) for text, files in shown or [("", [])]]


def missing_quote(kind: QuoteKind, why: str, source_id: int | None) -> Quote:
    """Return the quote of a message that cannot be read; *why* is one of the clauses above."""
    return Quote(kind, "", "", source_id, missing=why)


def without_deleted(parts: tuple[Part, ...], was_deleted: Callable[[int], bool]) -> tuple[Part, ...]:
    """Return *parts* without the words of messages that were deleted while they were read."""
    return tuple(
        missing_quote(part.kind, DELETED, part.source_id)
        if isinstance(part, Quote) and part.source_id is not None and was_deleted(part.source_id)
        else part
        for part in parts
    )


def without_marks(text: str, *, is_command: bool) -> str:
    """Return what the model wrote in a message of ours: no cursor, no lines on its state, no question of a command."""
    text = without_cursor(_STATES.sub("", text))
    text = "" if text == "▌" else text  # there is nothing else yet
    return (_QUESTION.sub("", text) if is_command else text).strip()


def _quote(
    kind: QuoteKind,
    text: str,
    files: Sequence[discord.Attachment],
    author: str,
    source_id: int | None,
    nothing: str,
    *,
    is_own: bool = False,
) -> Quote:
    names = ", ".join(file_names(files))
    if not text:
        missing = f"{EMPTY} but files: {names}" if names else nothing
        return Quote(kind, author, "", source_id, missing, is_own=is_own)
    is_cut = len(text) > QUOTE_LENGTH
    text = text[:QUOTE_LENGTH].rstrip()
    if names and not is_cut:
        text += f"\n(attached, not visible to you: {names})"
    return Quote(kind, author, text, source_id, is_cut=is_cut, is_own=is_own)


def _own_text(message: discord.Message, me: discord.abc.User) -> str:
    """Return the words of a message of ours, or what a card of ours shows."""
    text = without_marks(words_of(message, me), is_command=message.type is discord.MessageType.chat_input_command)
    return _joined([text, *_displays(message.components)])


def _text(message: discord.Message, me: discord.abc.User) -> str:
    return _joined(
        [
            words_of(message, me),
            *(_snapshot_text(each, message.guild, me) for each in message.message_snapshots),
            option_text(_joined([*_shown(message), *_poll(message.poll)]), message.guild, me),
        ]
    )


def _snapshot_text(snapshot: discord.MessageSnapshot, guild: discord.Guild | None, me: discord.abc.User) -> str:
    return option_text(_joined([snapshot.content, *_shown(snapshot)]), guild, me)


def _shown(message: discord.Message | discord.MessageSnapshot) -> Iterator[str]:
    """Return the texts around a message's own words: embeds, Components V2."""
    for embed in message.embeds:
        yield embed.title or ""
        yield embed.description or ""
        yield from (f"{field.name}: {field.value}" for field in embed.fields)
    yield from _displays(message.components)


def _displays(components: Iterable[object]) -> Iterator[str]:
    for component in components:
        if isinstance(component, discord.TextDisplay):
            yield component.content
        yield from _displays(getattr(component, "children", ()))


def _poll(poll: discord.Poll | None) -> Iterator[str]:
    if poll is not None:
        yield f"(a poll) {poll.question}"
        yield from (f"- {answer.text}" for answer in poll.answers)


def _joined(texts: Iterable[str]) -> str:
    return "\n".join(text for each in texts if (text := each.strip()))
