"""What is sent: turns of the conversation, from the window's beginning on, with room left for the answer.

Pure. Ollama would cut by itself, but drops messages in silence, may split a
turn, and leaves no room for the answer (``server/prompt.go``); so whatever is
sent fits already.

The server keeps what it has read of a prompt's beginning for as long as the
next one begins the same way. So a conversation grows at its end only; when it
is full its beginning moves once, far enough that it need not move again soon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, inf
from typing import TYPE_CHECKING

from bot.conversation.records import ContextWindow, Turn
from bot.conversation.speaker_labels import neutralise
from bot.conversation.tokens import MESSAGE_OVERHEAD, Message, TokenEstimator, units
from bot.conversation.turn_text import said
from bot.errors import PromptTooLong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

TEMPLATE_OVERHEAD = 80
"""Tokens that a template adds once; gpt-oss with its preamble adds about 70."""

LARGEST_RESERVE = 8192
"""Tokens kept for an answer at most: longer than any reply's messages can show."""

KEPT_SHARE = 0.65
"""How full the room for turns is after the beginning moved: less is read anew more seldom, more is remembered."""

_ANSWER_MARGIN = 1.25


@dataclass(frozen=True, slots=True)
class Scale:
    """How many tokens one estimated token is.

    Attributes:
        known: of what the model has counted.
        new: of what people wrote and it has not counted; rather too many.
        answer: of its own words that it has not counted.
        asked: of a prompt alone, when it is to be told whether that fits at all.
        counted_at: the prompt up to which the model has counted; None: all turns are taken for counted.
    """

    known: float = 1.0
    new: float = 1.0
    answer: float = 1.0
    asked: float = 1.0
    counted_at: int | None = None

    @classmethod
    def of(cls, window: ContextWindow, of_model: float) -> Scale:
        """Return what the counts of *window* have taught, or before the first one those of the model elsewhere."""
        known = window.scale or of_model
        # other people's words may be of another kind, the model's own are rather like those before
        new = max(1.0, known)
        counted_at = None if window.scale is None else window.counted_at
        return cls(known, new, min(new, known * _ANSWER_MARGIN), max(known, of_model), counted_at)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fits.

    Attributes:
        messages: system first (if there is one), prompt last.
        turns_used: how many turns are among them; always the latest.
        turns_dropped: how many older ones are not.
        estimated_tokens: what the messages are estimated to need.
        least_tokens: fewer than this no count of the whole can be: its beginning took most of that before.
        weight: what the messages and all around them need by the estimate that no model's counts have changed.
        overhead: the tokens among those estimated that are in no message.
        preface: what stands before the words of the first user's message, or empty.
    """

    messages: tuple[Message, ...]
    turns_used: int
    turns_dropped: int
    estimated_tokens: int
    least_tokens: float = 0.0
    weight: float = 0.0
    overhead: float = TEMPLATE_OVERHEAD
    preface: str = ""


def default_reserve(num_ctx: int) -> int:
    """Return the tokens kept for the answer: a quarter of the window, at most `LARGEST_RESERVE`."""
    return min(ceil(num_ctx / 4), LARGEST_RESERVE)


def fit(
    system: str,
    turns: Sequence[Turn],
    prompt: str,
    *,
    num_ctx: int,
    reserve: int | None = None,
    preface: str = "",
    added: Sequence[Message] = (),
    scale: Scale | None = None,
    estimate: Callable[[str], float] = units,
) -> Fitted:
    """Return all of *turns* with *prompt*; if that is too much for *num_ctx* tokens, drop the oldest to `KEPT_SHARE`.

    Args:
        system: the system prompt; none if blank.
        turns: the history from the window's beginning on, oldest first; sent as `said` puts them.
        prompt: what is asked now, as it is to be sent (the caller has put it through `said`).
        num_ctx: the window, in tokens.
        reserve: tokens kept for the answer; None means `default_reserve`.
        preface: what is to stand before the words of the first user's message.
        added: what the server puts before all that by itself.
        scale: what the model's own counts have taught.
        estimate: how many tokens a text needs before *scale*.

    Raises:
        PromptTooLong: system and prompt alone do not fit.
    """
    scale = scale or Scale()
    room = num_ctx - (default_reserve(num_ctx) if reserve is None else max(reserve, 0))
    first = [Message("system", system)] if system.strip() else []
    last = Message("user", prompt)
    around = TEMPLATE_OVERHEAD + _weight(added, estimate) + (estimate(f"{preface}\n\n") if preface else 0)
    fixed = (around + _weight(first, estimate)) * scale.known
    asked = _weight([last], estimate)
    if fixed + asked * scale.asked > room:
        raise PromptTooLong(ceil(fixed + asked * scale.asked), max(room, 0))
    exchanges = [_Exchange.of(turn, scale, estimate) for turn in turns]
    dropped = _dropped(exchanges, fixed, asked, scale, room)
    kept = exchanges[dropped:]
    messages = [*first, *(message for exchange in kept for message in exchange.messages), last]
    if preface:
        messages[len(first)] = _prefaced(preface, messages[len(first)])
    weight = TEMPLATE_OVERHEAD + _weight([*added, *messages], estimate)
    counted = fixed + sum(exchange.counted for exchange in kept)
    return Fitted(
        tuple(messages),
        len(kept),
        dropped,
        ceil(fixed + asked * scale.new + sum(exchange.tokens for exchange in kept)),
        0.0
        if dropped or scale.counted_at is None
        else counted + (weight - counted / scale.known) * TokenEstimator.FLOOR,
        weight,
        around * scale.known,
        preface,
    )


def _dropped(exchanges: Sequence[_Exchange], fixed: float, asked: float, scale: Scale, room: float) -> int:
    """Return how many of the oldest turns are too much; the last one stays if it fits at all.

    Whether all fit is told by the pessimistic estimate, how far the beginning moves by what is likely.
    """
    most = fixed + asked * scale.new + sum(exchange.tokens for exchange in exchanges)
    if most <= room:
        return 0
    base = fixed + asked * scale.known
    likely = base + sum(exchange.weight for exchange in exchanges) * scale.known
    goal = base + KEPT_SHARE * (room - base)
    for index, exchange in enumerate(exchanges):
        is_last = index == len(exchanges) - 1
        if most <= room and (is_last or likely <= goal):
            return index
        most -= exchange.tokens
        likely -= exchange.weight * scale.known
    return len(exchanges)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A turn as messages, the tokens that it takes at most, how many the model has counted of it, its plain weight."""

    messages: tuple[Message, ...]
    tokens: float
    counted: float
    weight: float

    @classmethod
    def of(cls, turn: Turn, scale: Scale, estimate: Callable[[str], float]) -> _Exchange:
        # What the model wrote goes back as it was, but for control tokens that
        # somebody had it write. No text, no message: an empty one breaks templates.
        asked = [Message("user", said(turn.label or "", turn.parts))]
        answered = [Message("assistant", neutralise(turn.reply))] if turn.reply.strip() else []
        ask, answer = _weight(asked, estimate), _weight(answered, estimate)
        counted_at = inf if scale.counted_at is None else scale.counted_at
        known = (ask * (turn.message_id <= counted_at) + answer * (turn.message_id < counted_at)) * scale.known
        tokens = ask * (scale.known if turn.message_id <= counted_at else scale.new)
        tokens += answer * (scale.known if turn.message_id < counted_at else scale.answer)
        return cls((*asked, *answered), tokens, known, ask + answer)


def extend(
    fitted: Fitted, last: Message, *, num_ctx: int, scale: float = 1.0, estimate: Callable[[str], float] = units
) -> Fitted | None:
    """Return *fitted* with one more message, and with as few of the oldest turns dropped as that takes.

    A sixteenth of the window stays free to go on in. None if even without any
    turn the message finds no room.
    """
    messages = [*fitted.messages, last]
    oldest = 1 if messages[0].role == "system" else 0
    if fitted.preface:
        messages[oldest] = Message("user", messages[oldest].content.removeprefix(f"{fitted.preface}\n\n"))
    costs = [(MESSAGE_OVERHEAD + estimate(message.content)) * scale for message in messages]
    room = num_ctx - num_ctx // 16 - fitted.overhead
    dropped = 0
    while sum(costs) > room:
        if len(messages) - oldest <= 2:
            return None
        del messages[oldest], costs[oldest]
        if messages[oldest].role == "assistant":
            del messages[oldest], costs[oldest]
        dropped += 1
    if fitted.preface:
        messages[oldest] = _prefaced(fitted.preface, messages[oldest])
    return replace(
        fitted,
        messages=tuple(messages),
        turns_used=fitted.turns_used - dropped,
        turns_dropped=fitted.turns_dropped + dropped,
        estimated_tokens=ceil(fitted.overhead + sum(costs)),
        least_tokens=0.0,
        weight=(fitted.overhead + sum(costs)) / scale,
    )


def _prefaced(preface: str, message: Message) -> Message:
    return Message(message.role, f"{preface}\n\n{message.content}")


def _weight(messages: Iterable[Message], estimate: Callable[[str], float]) -> float:
    return sum(MESSAGE_OVERHEAD + max(estimate(message.content), 0) for message in messages)
