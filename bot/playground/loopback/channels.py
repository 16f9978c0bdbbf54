"""Channels: direct messages, threads, typing, permissions, and what befalls them.

Source: https://discord.com/developers/docs/resources/channel
"""

from __future__ import annotations

from bot.playground.loopback import seed
from bot.playground.loopback.errors import WorldError, form_error, missing_permissions
from bot.playground.loopback.messages import Messages
from bot.playground.loopback.payloads import message_event
from bot.playground.loopback.permissions import Payload, Permission
from bot.playground.loopback.snowflake import iso
from bot.playground.loopback.state import DM, FORUM, PUBLIC_THREAD, TEXT, State, is_thread

_HAS_THREAD = 1 << 5
_ARCHIVE_MINUTES = frozenset({60, 1440, 4320, 10080})


class Channels:
    """Opens, changes and deletes channels.

    Args:
        state: where they are kept.
        messages: writes the system messages that threads bring.
    """

    def __init__(self, state: State, messages: Messages) -> None:
        self._state = state
        self._messages = messages

    def open_dm(self, user_id: str) -> Payload:
        """Return the direct message channel between a person and the bot, opening it if there is none."""
        state = self._state
        person = state.user(user_id)
        if state.is_bot(user_id):
            raise WorldError(400, 50007, "Cannot send messages to this user")
        for channel in state.channels.values():
            if channel["type"] == DM and channel["recipients"][0]["id"] == user_id:
                return channel
        channel = {"id": state.ids.next(), "type": DM, "recipients": [person], "last_message_id": None, "flags": 0}
        state.channels[channel["id"]] = channel
        state.touch()
        state.emit("CHANNEL_CREATE", dict(channel))
        return channel

    def create(self, name: str, topic: str | None = None, *, kind: int = TEXT) -> Payload:
        """Add a text channel or a forum to the guild."""
        state = self._state
        position = sum(1 for each in state.channels.values() if each["type"] in {TEXT, FORUM})
        channel = seed.text_channel(state.ids.next(), name, position, topic) | {"type": kind}
        state.channels[channel["id"]] = channel
        state.touch()
        state.emit("CHANNEL_CREATE", dict(channel))
        return channel

    def create_thread(self, user_id: str, channel_id: str, body: Payload, message_id: str | None = None) -> Payload:
        """Start a public thread, from a message (whose id it takes) or by itself; in a forum, with its first message.

        Raises:
            WorldError: 50035 for a bad name or duration, 160004 if the message
                has a thread, 50024 in a DM or thread, 50001 and 50013.
        """
        state = self._state
        parent = state.channel(channel_id)
        if parent["type"] == DM or is_thread(parent):
            raise WorldError(400, 50024, "Cannot execute action on this channel type")
        is_post = parent["type"] == FORUM
        state.require(user_id, parent, Permission.SEND_MESSAGES if is_post else Permission.CREATE_PUBLIC_THREADS)
        if is_post and not body.get("message"):
            raise form_error("message", "BASE_TYPE_REQUIRED", "This field is required")
        name = str(body.get("name") or "").strip()
        if not 1 <= len(name) <= 100:
            raise form_error("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
        minutes = body.get("auto_archive_duration") or 1440
        if minutes not in _ARCHIVE_MINUTES:
            raise form_error(
                "auto_archive_duration", "BASE_TYPE_CHOICES", "Value must be one of {60, 1440, 4320, 10080}."
            )
        starter = self._messages.visible(channel_id, message_id) if message_id else None
        if starter is not None and starter["id"] in state.channels:
            raise WorldError(400, 160004, "A thread has already been created for this message")
        thread = self._thread(user_id, parent, name, int(minutes), starter["id"] if starter else state.ids.next())
        state.channels[thread["id"]] = thread
        state.touch()
        state.emit("THREAD_CREATE", {**thread, "newly_created": True})
        if is_post:
            return thread | {"message": self._messages.create_post(user_id, thread, body["message"])}
        self._announce(user_id, parent, thread, starter)
        return thread

    def _thread(self, owner_id: str, parent: Payload, name: str, minutes: int, thread_id: str) -> Payload:
        now = iso(self._state.now())
        return {
            "id": thread_id,
            "type": PUBLIC_THREAD,
            "guild_id": parent["guild_id"],
            "parent_id": parent["id"],
            "owner_id": owner_id,
            "name": name,
            "last_message_id": None,
            "message_count": 0,
            "total_message_sent": 0,
            "member_count": 1,
            "rate_limit_per_user": 0,
            "flags": 0,
            "thread_metadata": {
                "archived": False,
                "auto_archive_duration": minutes,
                "archive_timestamp": now,
                "create_timestamp": now,
                "locked": False,
            },
        }

    def _announce(self, user_id: str, parent: Payload, thread: Payload, starter: Payload | None) -> None:
        state = self._state
        if starter is None:
            self._messages.add(self._system(user_id, parent, 18, thread["name"], {"channel_id": thread["id"]}))
            return
        starter.update(flags=starter["flags"] | _HAS_THREAD, thread=dict(thread))
        state.emit("MESSAGE_UPDATE", message_event(state, starter))
        reference = {"channel_id": parent["id"], "message_id": starter["id"]}
        self._messages.add(self._system(user_id, thread, 21, "", reference))

    def _system(self, user_id: str, channel: Payload, kind: int, content: str, reference: Payload) -> Payload:
        return {
            "id": self._state.ids.next(),
            "channel_id": channel["id"],
            "guild_id": channel["guild_id"],
            "author": self._state.user(user_id),
            "content": content,
            "timestamp": iso(self._state.now()),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "pinged": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "type": kind,
            "flags": 0,
            "message_reference": {"type": 0, "guild_id": channel["guild_id"], "message_id": None, **reference},
        }

    def typing(self, user_id: str, channel_id: str) -> None:
        """Show that someone types, for ten seconds at their clients."""
        state = self._state
        channel = state.channel(channel_id)
        thread = is_thread(channel)
        state.require(user_id, channel, Permission.SEND_MESSAGES_IN_THREADS if thread else Permission.SEND_MESSAGES)
        event: Payload = {"channel_id": channel_id, "user_id": user_id, "timestamp": int(state.now())}
        if "guild_id" in channel:
            event.update(guild_id=channel["guild_id"], member=state.members[user_id])
        state.emit("TYPING_START", event)

    def modify(self, user_id: str, channel_id: str, body: Payload) -> Payload:
        """Change a channel's name or topic, or a thread's name, ``archived`` and ``locked``."""
        state = self._state
        channel = state.channel(channel_id)
        if channel["type"] == DM:
            raise WorldError(400, 50024, "Cannot execute action on this channel type")
        bits = state.require(user_id, channel)
        if not is_thread(channel):
            if Permission.MANAGE_CHANNELS not in bits:
                raise missing_permissions()
            channel.update({key: body[key] for key in ("name", "topic") if key in body})
            return self.changed(channel)
        manages = Permission.MANAGE_THREADS in bits
        own = channel["owner_id"] == user_id and "locked" not in body
        only_wakes = set(body) == {"archived"} and not body["archived"] and not channel["thread_metadata"]["locked"]
        if not (manages or own or only_wakes):
            raise missing_permissions()
        if "name" in body:
            channel["name"] = str(body["name"])
        return self.archive(channel, bool(body.get("archived", False)), body.get("locked"))

    def archive(self, thread: Payload, archived: bool, locked: bool | None) -> Payload:
        """Set a thread's state without asking who may; ``locked`` None leaves that as it is."""
        meta = dict(thread["thread_metadata"])
        meta.update(archived=archived, archive_timestamp=iso(self._state.now()))
        if locked is not None:
            meta["locked"] = locked
        thread["thread_metadata"] = meta
        return self.changed(thread)

    def changed(self, channel: Payload) -> Payload:
        """Tell everybody that a channel or thread has changed."""
        self._state.touch()
        self._state.emit("THREAD_UPDATE" if is_thread(channel) else "CHANNEL_UPDATE", dict(channel))
        return channel

    def delete(self, channel_id: str) -> None:
        """Delete a channel with its messages and threads, without asking who may."""
        state = self._state
        channel = state.channel(channel_id)
        for thread in [each for each in state.channels.values() if each.get("parent_id") == channel_id]:
            self.delete(thread["id"])
        state.channels.pop(channel_id)
        state.messages.pop(channel_id, None)
        state.touch()
        state.emit("THREAD_DELETE" if is_thread(channel) else "CHANNEL_DELETE", dict(channel))

    def overwrite(self, channel_id: str, target_id: str, allow: int, deny: int) -> None:
        """Set a role's or user's permission overwrite in a channel, replacing the one before."""
        state = self._state
        channel = state.channel(channel_id)
        kind = 0 if any(each["id"] == target_id for each in state.guild["roles"]) else 1
        if kind == 1:
            state.user(target_id)
        kept = [each for each in channel["permission_overwrites"] if each["id"] != target_id]
        made = {"id": target_id, "type": kind, "allow": str(int(allow)), "deny": str(int(deny))}
        channel["permission_overwrites"] = [*kept, made]
        self.changed(channel)
