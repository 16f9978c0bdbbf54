"""Everything the loopback Discord knows, and who hears of changes.

All payloads are Discord's JSON objects. What hangs inside a stored message
(lists, dicts) is never changed in place but replaced, so that an event which
someone still holds keeps telling what was true when it was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from bot.playground.loopback import seed
from bot.playground.loopback.errors import (
    WorldError,
    missing_access,
    missing_permissions,
    unknown_channel,
    unknown_message,
)
from bot.playground.loopback.files import Files
from bot.playground.loopback.permissions import DIRECT_MESSAGE, Payload, Permission, channel_permissions
from bot.playground.loopback.snowflake import Snowflakes

_log = logging.getLogger(__name__)

Listener = Callable[[str, Payload], None]

TEXT = 0
DM = 1
PUBLIC_THREAD = 11
FORUM = 15


class State:
    """The guild, its people, channels, messages and registered commands.

    Args:
        now: the wall clock, in Unix seconds.
        files_folder: where uploads are kept over a restart, or None.
    """

    def __init__(self, now: Callable[[], float], files_folder: Path | None = None) -> None:
        self.now = now
        self.ids = Snowflakes(now)
        self.files = Files(files_folder)
        self.base_url = ""  # set when the server has its port; attachment URLs start with it
        self.message_content = True
        self.sends_referenced = True  # events bring the message that one refers to; Discord leaves it out now and then
        self.is_sparse = False  # events leave out what is optional, or have it null, as Discord may
        self.is_unavailable = False  # the guild, in an outage: a session is told its id, but not what is in it
        self.blocked_words: set[str] = set()
        self.guild = seed.guild()
        self.bot_user: Payload = seed.bot_member()["user"]
        self.members: dict[str, Payload] = {each["user"]["id"]: each for each in [seed.bot_member(), *seed.people()]}
        self.users: dict[str, Payload] = {user_id: each["user"] for user_id, each in self.members.items()}
        self.bot_user = self.users[seed.BOT_ID]
        self.channels: dict[str, Payload] = {each["id"]: each for each in seed.channels()}
        self.messages: dict[str, dict[str, Payload]] = {}
        self.commands: dict[str, list[Payload]] = {}  # "" holds the global ones, else by guild id
        self.revision = 0  # grows with every change worth saving
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener(event, payload)`` for every event from now on; the result ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def emit(self, event: str, payload: Payload) -> None:
        """Tell every listener. One that fails is logged and does not fail the others."""
        for listener in tuple(self._listeners):
            try:
                listener(event, payload)
            except Exception:  # noqa: BLE001 - whatever a listener does, the others must hear
                _log.exception("A listener failed on %s", event)

    def touch(self) -> None:
        """Note a change that a restart should not lose."""
        self.revision += 1

    def user(self, user_id: str) -> Payload:
        """Return a user, or raise 10013."""
        try:
            return self.users[user_id]
        except KeyError:
            raise WorldError(404, 10013, "Unknown User") from None

    def channel(self, channel_id: str) -> Payload:
        """Return a channel, DM or thread, or raise 10003."""
        try:
            return self.channels[channel_id]
        except KeyError:
            raise unknown_channel() from None

    def message(self, channel_id: str, message_id: str) -> Payload:
        """Return a stored message, or raise 10008."""
        try:
            return self.messages[channel_id][message_id]
        except KeyError:
            raise unknown_message() from None

    def is_bot(self, user_id: str) -> bool:
        """Whether that is the bot."""
        return user_id == seed.BOT_ID

    def permissions(self, user_id: str, channel: Payload) -> Permission:
        """Return what a user may do in a channel; a thread takes its parent's."""
        if channel["type"] == DM:
            inside = self.is_bot(user_id) or any(each["id"] == user_id for each in channel["recipients"])
            return DIRECT_MESSAGE if inside else Permission(0)
        member = self.members.get(user_id)
        if member is None:
            return Permission(0)
        if is_thread(channel):
            parent = self.channels.get(channel["parent_id"])
            return channel_permissions(self.guild, member, parent) if parent else Permission(0)
        return channel_permissions(self.guild, member, channel)

    def require(self, user_id: str, channel: Payload, needed: Permission = Permission(0)) -> Permission:  # noqa: B008 - immutable
        """Return the user's permissions, or raise 50001 (cannot see it) or 50013 (may not)."""
        bits = self.permissions(user_id, channel)
        if Permission.VIEW_CHANNEL not in bits:
            raise missing_access()
        if needed not in bits:
            raise missing_permissions()
        return bits


def is_thread(channel: Payload) -> bool:
    """Whether the channel is a thread of any kind."""
    return channel["type"] in {10, PUBLIC_THREAD, 12}
