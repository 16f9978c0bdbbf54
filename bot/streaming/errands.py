"""What has to be done beside a reply's pages: a thread opened, the direct messages with who asked, the file there."""

from __future__ import annotations

from bot.markdown.files import File
from bot.streaming.bucket import Urgency
from bot.streaming.calls import Answered, Call, FileState, Message, Place
from bot.streaming.rules import Kind


class Errands:
    """At most one of each is wanted, and one call at a time.

    Attributes:
        reason: why the rest is to go to who asked, while that is not done.
    """

    def __init__(self, channel_id: int) -> None:
        self._channel_id = channel_id
        self._archived: int | None = None  # the thread that is to be opened
        self._dm: int | None = None
        self._file: tuple[Message, File] | None = None  # to be given to who asked
        self.reason: Answered | None = None

    def open_thread(self, channel_id: int) -> None:
        """Want a thread taken out of the archive."""
        self._archived = channel_id

    def hand_over(self, message: Message, file: File) -> None:
        """Want the file that may not be with *message* given to who asked."""
        self._file = message, file

    def give_up(self) -> None:
        """Want nothing more there."""
        self.reason = None
        self._settle_file(FileState.FORBIDDEN)

    def call(self, ordinal: int) -> Call | None:
        """Return what is to be done now, before message *ordinal* can come."""
        if self._archived is not None:
            return Call(Kind.UNARCHIVE, 0, Urgency.FIRST, Place(self._archived))
        if self.reason is None and self._file is None:
            return None
        if self._dm is None:
            return Call(Kind.OPEN_DM, 0, Urgency.FIRST, Place(self._channel_id))
        if self._file is not None:
            return Call(Kind.HAND_OVER, self._file[0].ordinal, Urgency.FIRST, Place(self._dm), file=self._file[1])
        return Call(Kind.SAY_WHY, ordinal, Urgency.FIRST, Place(self._dm), reason=self.reason)

    def done(self, call: Call, answered: Answered) -> None:
        """Note that *call* worked."""
        match call.kind:
            case Kind.UNARCHIVE:
                self._archived = None
            case Kind.OPEN_DM:
                self._dm = answered.channel_id
            case Kind.SAY_WHY:
                self.reason = None
            case _:
                self._settle_file(FileState.HANDED_OVER)

    def skipped(self, kind: Kind) -> None:
        """Note that a call of that *kind* is not to be."""
        if kind is Kind.UNARCHIVE:
            self._archived = None
        else:
            self._settle_file(FileState.FORBIDDEN)

    def _settle_file(self, state: FileState) -> None:
        if self._file is not None:
            self._file[0].file = state
            self._file = None
