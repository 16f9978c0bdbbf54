"""From the journal's rows and what was found in the channel to the transcript that a reply goes on with.

Pure. A row's message that is missing where all was looked at was deleted: it is
not posted again. A POST whose answer was lost is found by what makes it ours: it
replies to the prompt, belongs to the command's interaction, or shows the very
text of the first try or of the last. Where nothing could be looked up, rows are
taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.conversation.records import PromptKind, ReplyMessage, UnfinishedReply
from bot.markdown.dress import has_cursor, is_status, quote
from bot.recovery.found import Found, Seen
from bot.streaming.calls import FileState, Left, Message, Place, State
from bot.streaming.transcript import Transcript


def header_of(reply: UnfinishedReply) -> str:
    """Return what stands above the answer: the question, if it was typed into a command."""
    return quote(reply.prompt.text) if reply.prompt.kind is PromptKind.ASK else ""


def unclaimed(reply: UnfinishedReply, found: Found) -> list[Seen]:
    """Return the messages that no row of *reply* knows, and that may be its, or somebody's who left a cursor."""
    known = {row.message_id for row in reply.messages}
    texts = {text.strip() for row in reply.messages for text in (row.text, row.first_try) if text}
    return [
        seen
        for seen in found.messages.values()
        if seen.message_id not in known
        and (seen.about == reply.prompt.message_id or seen.text in texts or has_cursor(seen.text))
    ]


def rebuild(reply: UnfinishedReply, found: Found | None, free: Iterable[Seen]) -> Transcript:
    """Return what stands on screen of *reply*; *free* are messages that no reply in the store knows."""
    prompt, free = reply.prompt, list(free)
    transcript = Transcript(
        prompt.channel_id, str(prompt.message_id), header=header_of(reply), by_token=bool(prompt.token)
    )
    transcript.moved_to = reply.moved_to
    transcript.generation = max((row.generation for row in reply.messages), default=0)
    rows = [row for row in reply.messages if not _is_left(row, reply.messages)]
    for row in reply.messages:
        if row not in rows and row.message_id is not None:
            transcript.left.append(Left(_known(transcript, row, found), None))
    for row in rows:
        if row.state == State.GONE:
            transcript.messages.append(_from(transcript, row))
        elif row.message_id is not None:
            transcript.messages.append(_known(transcript, row, found))
        elif (seen := _lost(reply, row, free)) is not None:
            transcript.messages.append(_adopted(transcript, seen, row))
        else:
            transcript.pending = _from(transcript, row)
            transcript.pending.is_unsure = row.by_token and bool(row.first_try)
            break
    else:  # a store that hung may have missed the latest
        ordinal = transcript.count()
        seen = next((each for each in free if _is_next(each, reply, ordinal)), None)
        if seen is not None:
            free.remove(seen)
            transcript.messages.append(_adopted(transcript, seen, ReplyMessage(ordinal, seen.channel_id, None, "", "")))
    return transcript


def _is_left(row: ReplyMessage, rows: Sequence[ReplyMessage]) -> bool:
    """Tell whether another message stands in for a row's, or is about to."""
    return any(each.generation > row.generation and each.ordinal <= row.ordinal for each in rows)


def _known(transcript: Transcript, row: ReplyMessage, found: Found | None) -> Message:
    """Return the message of a row that has an id."""
    message = _from(transcript, row)
    assert row.message_id is not None, "it has one"
    seen = found.messages.get(row.message_id) if found is not None else None
    if seen is not None:
        return _showing(transcript, message, seen.text)
    is_here = found is not None and row.channel_id == transcript.channel_id
    if is_here and found is not None and found.misses(row.message_id):
        message.state = State.GONE
    return _showing(transcript, message, row.shown or row.text)


def _adopted(transcript: Transcript, seen: Seen, row: ReplyMessage) -> Message:
    message = _from(transcript, row)
    by_token = transcript.by_token and seen.is_command
    message.place = Place(seen.channel_id, seen.message_id, row.nonce, by_token=by_token)
    message.first_try = ""
    return _showing(transcript, message, seen.text)


def _from(transcript: Transcript, row: ReplyMessage) -> Message:
    by_token = row.by_token or (transcript.by_token and row.channel_id == transcript.channel_id)
    message = Message(
        row.ordinal,
        row.generation,
        Place(row.channel_id, row.message_id, row.nonce, by_token=by_token),
        State(row.state),
        row.text,
        first_try=row.first_try,
        is_status=row.is_status,
        file=FileState(row.file),
    )
    if message.state is State.WITHHELD:
        message.refused_page = row.text.removeprefix(transcript.head(message))
    return message


def _showing(transcript: Transcript, message: Message, text: str) -> Message:
    message.shown = text
    if message.state is State.OPEN:  # rows of old versions do not say so
        bare = text.removeprefix(transcript.head(message).strip()).strip()
        message.is_status = message.is_status or not bare or is_status(bare)
    return message


def _lost(reply: UnfinishedReply, row: ReplyMessage, free: list[Seen]) -> Seen | None:
    """Return the message of a POST whose answer was lost."""
    texts = {text.strip() for text in (row.text, row.first_try) if text}
    for seen in free:
        is_foreign = seen.about and seen.about != reply.prompt.message_id
        is_named = bool(seen.about) and (seen.is_command or (row.ordinal == 0 and not row.generation))
        if not is_foreign and (is_named or seen.text in texts):
            free.remove(seen)
            return seen
    return None


def _is_next(seen: Seen, reply: UnfinishedReply, ordinal: int) -> bool:
    return seen.about == reply.prompt.message_id and (ordinal == 0 or seen.is_command)
