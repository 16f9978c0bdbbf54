"""What stands on screen of one reply, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field

from bot.markdown.text import PAGE_LIMIT
from bot.streaming.calls import Answered, FileState, Left, Message, Place, State

# So often a message is posted anew since it takes no edit; after that only its final text is tried.
_PATIENT_WITH_EDITS = 2


@dataclass(eq=False)
class Screen:
    """The messages of one reply in a channel.

    Attributes:
        channel_id: where it is.
        nonce_seed: unique to the reply.
        header: stands above the first message.
        by_token: an interaction's token reaches the messages.
        original_id: the loading message's, if it is known.
        messages: those on screen, by ordinal.
        left: messages that others stand in for.
        moved_to: the direct messages with who asked, if the rest goes there.
        over: why nothing more can be posted.
        can_move: whether the rest may go to who asked.
        names_command: a line under the growing text says how to stop it.
        may_show_status: whether Discord takes our status line.
        generation: how often messages were posted anew.
        pending: the next one, once its POST was wanted.
        replaced: how many messages took no edit.
    """

    channel_id: int
    nonce_seed: str
    _: KW_ONLY
    header: str = ""
    by_token: bool = False
    original_id: int | None = None
    messages: list[Message] = field(default_factory=list, init=False)
    left: list[Left] = field(default_factory=list, init=False)
    moved_to: int | None = field(default=None, init=False)
    over: Answered | None = field(default=None, init=False)
    can_move: bool = field(default=False, init=False)
    names_command: bool = field(default=False, init=False)
    may_show_status: bool = field(default=True, init=False)
    generation: int = field(default=0, init=False)
    pending: Message | None = field(default=None, init=False)
    replaced: int = field(default=0, init=False)

    # ------------------------------------------------------------ what the plan asks

    def count(self) -> int:
        """Return how many messages are on screen."""
        return len(self.messages)

    def may_post(self) -> bool:
        """Tell whether a further message may be posted."""
        return self.over is None

    def takes_growth(self, ordinal: int) -> bool:
        """Tell whether a message takes text that still grows: what was read and refused would be refused again."""
        message = self.messages[ordinal]
        if message.state is State.GONE or (message.state is State.WITHHELD and message.is_read):
            return False
        return not message.generation or self.replaced <= _PATIENT_WITH_EDITS

    def shows(self, ordinal: int, page: str, *, is_final: bool = True) -> bool:
        """Tell whether a message needs no edit to show *page*."""
        message = self.messages[ordinal]
        if message.state is State.GONE:
            return True
        if message.refusal is not None:
            return False  # words are to come
        if not is_final and not self.takes_growth(ordinal):
            return True
        if message.state is State.WITHHELD:  # a sick proxy may refuse any text: more of it is tried now and then
            is_early = not is_final and len(page) < 2 * len(message.refused_page)
            return is_early or page == message.refused_page
        if message.page is None:
            return message.shown == (self.head(message) + page).strip()
        return message.page == page

    def is_gone(self, ordinal: int) -> bool:
        """Tell whether somebody deleted that message."""
        return self.messages[ordinal].state is State.GONE

    def has_text(self) -> bool:
        """Tell whether the first message shows text of the answer."""
        return bool(self.messages) and not self.messages[0].is_status and not self.messages[0].is_old

    def has_status(self) -> bool:
        """Tell whether the first message says what is going on."""
        return bool(self.messages) and self.messages[0].is_status

    def starts_with(self, ordinal: int, page: str) -> bool:
        """Tell whether a message shows at least all of *page*."""
        return (self.messages[ordinal].page or "").startswith(page)

    def room(self, ordinal: int) -> int:
        """Return how many code points a page in that message may have."""
        return PAGE_LIMIT - (len(self.header) if ordinal == 0 else 0)

    def length(self, ordinal: int) -> int:
        """Return how long the text of a message is."""
        message = self.messages[ordinal]
        return len(message.shown if message.page is None else message.page)

    def file(self, ordinal: int) -> FileState:
        """Return what became of the file with a message."""
        return self.messages[ordinal].file

    # ------------------------------------------------------------ ids

    def newest(self) -> Place | None:
        """Return where the newest message is that is still there."""
        for message in reversed(self.messages):
            if message.state is not State.GONE and message.place.message_id is not None:
                return message.place
        return Place(self.channel_id, self.original_id) if self._is_loading() else None

    def message_ids(self) -> list[int]:
        """Return the ids of the reply's messages in order; at first the loading message's."""
        ids = [each.place.message_id for each in self.messages if each.place.message_id is not None]
        return [self.original_id] if self._is_loading() and self.original_id is not None else ids

    def _is_loading(self) -> bool:
        return self.original_id is not None and not self.messages and not self.left and self.moved_to is None

    def every(self) -> Iterator[Message]:
        """Return all messages that were ever posted."""
        yield from self.messages
        yield from (left.message for left in self.left)

    def rows(self) -> list[Message]:
        """Return the messages that the journal knows of."""
        return [*self.every(), *filter(None, (self.pending,))]

    def head(self, message: Message) -> str:
        """Return what stands above the text of a message."""
        return self.header if message.ordinal == 0 else ""
