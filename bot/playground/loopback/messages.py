"""Writing, editing, deleting and reading messages, by Discord's rules.

Bodies are those of the REST API, for people and the bot alike.
Source: https://discord.com/developers/docs/resources/message
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.playground.loopback import seed
from bot.playground.loopback.content import CREATE_FLAGS, SUPPRESS_EMBEDS, check_body, clean_content, reference_ids
from bot.playground.loopback.errors import WorldError, form_error, missing_permissions, unknown_message
from bot.playground.loopback.mentions import Allowed, mentioned
from bot.playground.loopback.payloads import EPHEMERAL, LOADING, message_event, render
from bot.playground.loopback.permissions import Payload, Permission
from bot.playground.loopback.snowflake import iso
from bot.playground.loopback.state import DM, FORUM, State, is_thread

_NONCE_SECONDS = 300.0  # "in the past few minutes" in Discord's words
FORWARD = 1
"""The type of a ``message_reference`` that forwards."""
_SNAPSHOT = (
    "type", "content", "embeds", "attachments", "timestamp", "edited_timestamp", "flags", "mentions", "mention_roles",
    "sticker_items", "components",
)  # fmt: skip


class Messages:
    """The messages of all channels.

    Args:
        state: where they are kept.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._nonces: dict[tuple[str, str, str], tuple[str, float]] = {}

    def create(self, author_id: str, channel_id: str, body: Payload, uploads: Sequence[Payload] = ()) -> Payload:
        """Write a message as Create Message does and return it as stored.

        Raises:
            WorldError: 10003, 50001, 50013, 50006, 50035, 160002, 50083 or
                160005 (thread archived, locked), 200000 (a blocked word).
        """
        state = self._state
        channel = state.channel(channel_id)
        self._require_write(author_id, channel, uploads)
        if (known := self._by_nonce(author_id, channel_id, body)) is not None:
            return known
        reference = self._reference(author_id, channel, body.get("message_reference"))
        if reference is not None and reference["type"] == FORWARD:
            body = body | {"message_snapshots": self._snapshots(author_id, reference)}
        message = self._new(author_id, channel, body, reference=reference, uploads=uploads)
        if body.get("nonce") is not None:
            message["nonce"] = body["nonce"]
            self._nonces[author_id, channel_id, str(body["nonce"])] = (message["id"], state.now())
        return self.add(message)

    def create_by_webhook(self, channel_id: str, name: str, content: str) -> Payload:
        """Write a message over a webhook, under any name, as proxy bots do for people."""
        state = self._state
        webhook_id = state.ids.next()
        state.users[webhook_id] = seed.user(webhook_id, name, name, "#99aab5", bot=True)
        body, extra = {"content": content}, {"webhook_id": webhook_id}
        return self.add(self._new(webhook_id, state.channel(channel_id), body, extra=extra))

    def create_response(
        self, channel_id: str, body: Payload, extra: Payload, uploads: Sequence[Payload] = ()
    ) -> Payload:
        """Write the bot's message for an interaction: no permission needed, only users pinged unless told otherwise."""
        channel = self._state.channel(channel_id)
        message = self._new(
            seed.BOT_ID, channel, body, extra=extra, uploads=uploads, default=("users",)
        )  # fmt: skip
        return self.add(message)

    def create_post(self, author_id: str, thread: Payload, body: Payload) -> Payload:
        """Write the message that a forum post begins with: it has the thread's id."""
        return self.add(self._new(author_id, thread, body, extra={"id": thread["id"]}))

    def add(self, message: Payload) -> Payload:
        """Store a message, tell everybody and return it."""
        state = self._state
        channel = state.channel(message["channel_id"])
        state.messages.setdefault(channel["id"], {})[message["id"]] = message
        if not message["flags"] & EPHEMERAL:
            channel["last_message_id"] = message["id"]
            if is_thread(channel):
                channel["message_count"] += 1
                channel["total_message_sent"] += 1
        state.touch()
        state.emit("MESSAGE_CREATE", message_event(state, message))
        return message

    def edit(
        self, user_id: str, channel_id: str, message_id: str, body: Payload, uploads: Sequence[Payload] = ()
    ) -> Payload:
        """Change a message as Edit Message does and return it as stored.

        Others' messages can only get their previews suppressed, by who manages messages.
        """
        state = self._state
        channel = state.channel(channel_id)
        bits = state.require(user_id, channel, Permission.ATTACH_FILES if uploads else Permission(0))
        message = self.visible(channel_id, message_id)
        if message["author"]["id"] != user_id:
            if set(body) - {"flags"}:
                raise WorldError(403, 50005, "Cannot edit a message authored by another user")
            if Permission.MANAGE_MESSAGES not in bits:
                raise missing_permissions()
        if is_thread(channel) and channel["thread_metadata"]["archived"]:
            raise WorldError(400, 50083, "Thread is archived")
        return self.apply_edit(message, body, uploads)

    def apply_edit(
        self, message: Payload, body: Payload, uploads: Sequence[Payload] = (), *, mark: bool = True
    ) -> Payload:
        """Change a message without asking who may; ``mark`` dates the edit ("edited")."""
        state = self._state
        channel = state.channel(message["channel_id"])
        changed = dict(message)
        for field in ("embeds", "components"):
            if field in body:
                changed[field] = body[field] or []
        if "flags" in body:
            changed["flags"] = _edited_flags(changed["flags"], int(body["flags"] or 0))
        if "attachments" in body and body["attachments"] is not None:
            kept = {str(each["id"]) for each in body["attachments"]}
            changed["attachments"] = [each for each in changed["attachments"] if each["id"] in kept]
        changed["attachments"] = changed["attachments"] + self._stored(uploads, channel)
        if "content" in body:
            changed["content"] = self._text(body["content"])
        allowed = Allowed(body.get("allowed_mentions"), self._default_kinds(message))
        fields = mentioned(state, channel, message["author"]["id"], changed["content"], allowed, self._replied(message))
        changed.update(fields, pinged=message["pinged"])  # an edit notifies nobody
        changed["flags"] &= ~LOADING
        check_body(changed)
        if mark and "content" in body:
            changed["edited_timestamp"] = iso(state.now())
        message.update(changed)
        state.touch()
        state.emit("MESSAGE_UPDATE", message_event(state, message))
        return message

    def delete(self, user_id: str, channel_id: str, message_id: str) -> None:
        """Delete a message: one's own, or another's with MANAGE_MESSAGES."""
        state = self._state
        channel = state.channel(channel_id)
        bits = state.require(user_id, channel)
        message = self.visible(channel_id, message_id)
        if message["author"]["id"] != user_id:
            if channel["type"] == DM:
                raise WorldError(403, 50003, "Cannot execute action on this channel type")
            if Permission.MANAGE_MESSAGES not in bits:
                raise missing_permissions()
        self.remove(message)

    def remove(self, message: Payload) -> None:
        """Delete a message without asking who may."""
        state = self._state
        state.messages[message["channel_id"]].pop(message["id"], None)
        state.touch()
        event: dict[str, Any] = {"id": message["id"], "channel_id": message["channel_id"]}
        if message["flags"] & EPHEMERAL:
            event.update(flags=EPHEMERAL, viewer_id=message["viewer_id"])
        elif "guild_id" in message:
            event["guild_id"] = message["guild_id"]
        state.emit("MESSAGE_DELETE", event)

    def remove_many(self, channel_id: str, message_ids: Sequence[str]) -> None:
        """Delete messages without asking who may; one event tells of all."""
        state = self._state
        channel = state.channel(channel_id)
        removed = [each for each in message_ids if state.messages.get(channel_id, {}).pop(str(each), None) is not None]
        if removed:
            state.touch()
            event: Payload = {"ids": removed, "channel_id": channel_id}
            state.emit("MESSAGE_DELETE_BULK", event | {key: channel[key] for key in ("guild_id",) if key in channel})

    def visible(self, channel_id: str, message_id: str) -> Payload:
        """Return a message that exists for the channel's routes: ephemeral ones do not."""
        message = self._state.message(channel_id, message_id)
        if message["flags"] & EPHEMERAL:
            raise unknown_message()
        return message

    def fetch(self, user_id: str, channel_id: str, message_id: str) -> Payload:
        """Return one message rendered; needs READ_MESSAGE_HISTORY."""
        self._state.require(user_id, self._state.channel(channel_id), Permission.READ_MESSAGE_HISTORY)
        return render(self._state, self.visible(channel_id, message_id))

    def history(
        self,
        user_id: str,
        channel_id: str,
        *,
        limit: int = 50,
        before: str = "",
        after: str = "",
        around: str = "",
    ) -> list[Payload]:
        """Return messages rendered, newest first, as Get Channel Messages does; without READ_MESSAGE_HISTORY none."""
        bits = self._state.require(user_id, self._state.channel(channel_id))
        if Permission.READ_MESSAGE_HISTORY not in bits:
            return []
        if not 1 <= limit <= 100:
            raise form_error("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
        stored = self._state.messages.get(channel_id, {}).values()
        found = sorted((each for each in stored if not each["flags"] & EPHEMERAL), key=lambda each: int(each["id"]))
        if around:
            older = [each for each in found if int(each["id"]) <= int(around)][-(limit // 2 + 1) :]
            newer = [each for each in found if int(each["id"]) > int(around)][: limit - len(older)]
            chosen = older + newer
        elif after:
            chosen = [each for each in found if int(each["id"]) > int(after)][:limit]
        else:
            chosen = [each for each in found if not before or int(each["id"]) < int(before)][-limit:]
        return [render(self._state, each) for each in reversed(chosen)]

    def _new(
        self,
        author_id: str,
        channel: Payload,
        body: Payload,
        *,
        reference: Payload | None = None,
        extra: Payload | None = None,
        uploads: Sequence[Payload] = (),
        default: tuple[str, ...] = ("users", "roles", "everyone"),
    ) -> Payload:
        state = self._state
        content = self._text(body.get("content"))
        message: Payload = {
            "id": state.ids.next(),
            "channel_id": channel["id"],
            "author": state.user(author_id),
            "content": content,
            "timestamp": iso(state.now()),
            "edited_timestamp": None,
            "tts": False,
            "attachments": self._stored(uploads, channel),
            "embeds": body.get("embeds") or [],
            "components": body.get("components") or [],
            "pinned": False,
            "type": 0,
            "flags": int(body.get("flags") or 0) & CREATE_FLAGS,
        }
        if "guild_id" in channel:
            message["guild_id"] = channel["guild_id"]
        for field in ("sticker_items", "message_snapshots"):
            if body.get(field):
                message[field] = body[field]
        if reference is not None:
            message.update(message_reference=reference, type=reference.pop("message_type"))
        message.update(extra or {})
        allowed = Allowed(body.get("allowed_mentions"), default)
        message.update(mentioned(state, channel, author_id, content, allowed, self._replied(message)))
        if not message["flags"] & LOADING:
            check_body(message)
        return message

    def _require_write(self, author_id: str, channel: Payload, uploads: Sequence[Payload]) -> None:
        if channel["type"] == FORUM:
            raise WorldError(400, 50008, "Cannot send messages in a non-text channel")
        thread = is_thread(channel)
        needed = Permission.SEND_MESSAGES_IN_THREADS if thread else Permission.SEND_MESSAGES
        if uploads:
            needed |= Permission.ATTACH_FILES
        bits = self._state.require(author_id, channel, needed)
        if not thread or not channel["thread_metadata"]["archived"]:
            return
        if channel["thread_metadata"]["locked"] and Permission.MANAGE_THREADS not in bits:
            raise WorldError(400, 160005, "This thread is locked")
        channel["thread_metadata"] = {**channel["thread_metadata"], "archived": False}
        self._state.emit("THREAD_UPDATE", dict(channel))

    def _text(self, raw: object) -> str:
        text = clean_content(raw)
        folded = text.casefold()
        if any(word.casefold() in folded for word in self._state.blocked_words):
            raise WorldError(400, 200000, "Message was blocked by automatic moderation")
        return text

    def _by_nonce(self, author_id: str, channel_id: str, body: Payload) -> Payload | None:
        if not body.get("enforce_nonce") or body.get("nonce") is None:
            return None
        message_id, sent_at = self._nonces.get((author_id, channel_id, str(body["nonce"])), ("", 0.0))
        if not message_id or self._state.now() - sent_at > _NONCE_SECONDS:
            return None
        return self._state.message(channel_id, message_id)  # 10008 if it was deleted meanwhile, as Discord answers

    def _reference(self, author_id: str, channel: Payload, raw: Payload | None) -> Payload | None:
        """Return the reference to store, its ``message_type`` beside it, or None for a plain message."""
        if not raw:
            return None
        message_id, channel_id, must_exist = reference_ids(raw)
        forward = int(raw.get("type") or 0) == FORWARD
        channel_id = (channel_id or channel["id"]) if forward else channel["id"]
        if not forward and Permission.READ_MESSAGE_HISTORY not in self._state.permissions(author_id, channel):
            raise WorldError(400, 160002, "Cannot reply without permission to read message history")
        target = self._state.messages.get(channel_id, {}).get(message_id)
        if target is None or target["flags"] & EPHEMERAL:
            if must_exist:
                raise form_error("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
            return None
        if not forward and target["type"] not in {0, 19, 20, 23}:
            raise form_error(
                "message_reference", "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE", "Cannot reply to a system message"
            )
        kept: Payload = {"type": int(forward), "message_id": message_id, "channel_id": channel_id}
        if "guild_id" in channel:
            kept["guild_id"] = channel["guild_id"]
        return {**kept, "message_type": 0 if forward else 19}

    def _snapshots(self, author_id: str, reference: Payload) -> list[Payload]:
        """Return what a forward shows of its message, without its author; a forward of a forward shows the same."""
        state = self._state
        if Permission.READ_MESSAGE_HISTORY not in state.permissions(author_id, state.channel(reference["channel_id"])):
            raise WorldError(400, 160014, "You do not have access to the message being forwarded")
        original = render(state, state.message(reference["channel_id"], reference["message_id"]), nested=True)
        if original.get("message_snapshots"):
            return list(original["message_snapshots"])
        return [{"message": {field: original[field] for field in _SNAPSHOT if field in original}}]

    def _replied(self, message: Payload) -> Payload | None:
        reference = message.get("message_reference")
        if not reference or message["type"] != 19:
            return None
        return self._state.messages.get(reference["channel_id"], {}).get(reference["message_id"])

    def _stored(self, uploads: Sequence[Payload], channel: Payload) -> list[Payload]:
        return [self._state.files.add(self._state.ids.next(), channel["id"], each) for each in uploads]

    @staticmethod
    def _default_kinds(message: Payload) -> tuple[str, ...]:
        return ("users",) if "interaction_metadata" in message else ("users", "roles", "everyone")


def _edited_flags(before: int, wanted: int) -> int:
    """Only SUPPRESS_EMBEDS can be set and unset by an edit, IS_COMPONENTS_V2 be set."""
    kept = before & ~SUPPRESS_EMBEDS
    return kept | (wanted & (SUPPRESS_EMBEDS | (1 << 15)))
