"""The loopback Discord's world: its state, and what people do at their clients.

No sockets are here. The bot acts through the REST routes, people through
`World`; both end in the same rules, and everybody hears of it by `subscribe`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bot.playground.loopback import seed
from bot.playground.loopback.channels import Channels
from bot.playground.loopback.commands import CHAT_INPUT, MESSAGE, USER, Commands
from bot.playground.loopback.errors import WorldError, unknown_message
from bot.playground.loopback.interaction_payloads import AUTOCOMPLETE, COMMAND, COMPONENT, Interaction, find_component
from bot.playground.loopback.interactions import Interactions
from bot.playground.loopback.messages import Messages
from bot.playground.loopback.options import command_data, resolve
from bot.playground.loopback.payloads import EPHEMERAL, guild_create, render
from bot.playground.loopback.permissions import Payload, Permission
from bot.playground.loopback.reactions import Reactions
from bot.playground.loopback.roles import Roles
from bot.playground.loopback.state import FORUM, TEXT, Listener, State
from bot.playground.loopback.storage import Storage

__all__ = ["Channel", "Interaction", "Message", "Permission", "World", "WorldError"]

Message = Payload
"""A message as Discord's JSON, plus ``pinged`` (ids of notified users), ``viewer_id`` on an
ephemeral one, and ``user_ids`` (who reacted) in each reaction."""

Channel = Payload
"""A channel, direct message or thread as Discord's JSON."""

_SELECT_KINDS = {5: 6, 6: 8, 7: 9, 8: 7}  # select component type → option type of what it picks


class World:
    """One guild with three people and a bot, seeded in `bot.playground.loopback.seed`.

    Every method that acts takes the id of who acts, and raises `WorldError`
    where Discord would refuse.

    Args:
        data_path: a JSON file that keeps channels, messages and commands over a
            restart (uploads go to a folder beside it); None keeps nothing.
        now: the wall clock, in Unix seconds.
        message_content: whether the application has the message content intent.
        response_seconds: how long an interaction waits for its first answer.
        token_seconds: how long an interaction's token is good.
    """

    def __init__(
        self,
        *,
        data_path: Path | None = None,
        now: Callable[[], float] = time.time,
        message_content: bool = True,
        response_seconds: float = 3.0,
        token_seconds: float = 900.0,
    ) -> None:
        folder = None if data_path is None else data_path.with_name(f"{data_path.stem}-files")
        self.state = State(now, folder)
        self.state.message_content = message_content
        self.token = seed.TOKEN
        self.bot_online = False
        self.message_rules = Messages(self.state)
        self.reaction_rules = Reactions(self.state, self.message_rules)
        self.channel_rules = Channels(self.state, self.message_rules)
        self.command_rules = Commands(self.state)
        self.roles = Roles(self.state)
        self.interactions = Interactions(
            self.state, self.message_rules, deadline=response_seconds, lifetime=token_seconds
        )
        self._storage: Storage | None = None
        if data_path is not None:
            self._storage = Storage(self.state, data_path)
            self._storage.load()
            self.state.subscribe(self._changed)

    @property
    def now(self) -> Callable[[], float]:
        """The wall clock."""
        return self.state.now

    @property
    def bot_user(self) -> Payload:
        """The bot's user object."""
        return self.state.bot_user

    @property
    def application(self) -> Payload:
        """The application object, without the flags that depend on granted intents."""
        return seed.application(self.state.users[seed.ADA_ID])

    @property
    def people(self) -> list[Payload]:
        """The users who are people: Ada (owner), Grace (moderator), Linus."""
        return [each for each in self.state.users.values() if not each["bot"]]

    @property
    def guilds(self) -> dict[str, Payload]:
        """The guilds by id; there is one."""
        return {self.state.guild["id"]: self.state.guild}

    @property
    def channels(self) -> dict[str, Channel]:
        """All channels, direct messages and threads by id."""
        return self.state.channels

    @property
    def commands(self) -> list[Payload]:
        """All registered commands, global ones first."""
        return [each for scope in sorted(self.state.commands) for each in self.state.commands[scope]]

    def subscribe(self, callback: Listener) -> Callable[[], None]:
        """Call ``callback(event, payload)`` for every event, at once and in order; the result ends that.

        Events are Discord's dispatches, and ours: ``INTERACTION_STATE`` {id,
        user_id, channel_id, name, message_id, state: sent | deferred | answered |
        modal | failed, reason?, modal?}, ``COMMANDS_UPDATE`` {guild_id, commands}
        and ``BOT_STATUS`` {online}. Ephemeral messages carry ``viewer_id``.
        """
        return self.state.subscribe(callback)

    def send(
        self,
        user_id: str,
        channel_id: str,
        content: str,
        *,
        reply_to: str | None = None,
        ping_reply: bool = True,
        attachments: Sequence[Payload] = (),
        **more: Any,
    ) -> Message:
        """Write a message, as a reply to *reply_to* (which notifies its author with *ping_reply*).

        *attachments* are uploads, each ``{filename, data: bytes, content_type?}``; *more* are fields as Discord has
        them: ``embeds``, ``components``, ``flags``, ``sticker_items``, ``message_snapshots``.
        """
        body: Payload = {"content": content, **more}
        if reply_to is not None:
            body["message_reference"] = {"message_id": reply_to}
            if not ping_reply:
                body["allowed_mentions"] = {"parse": ["users", "roles", "everyone"], "replied_user": False}
        return render(self.state, self.message_rules.create(user_id, channel_id, body, attachments))

    def forward(self, user_id: str, channel_id: str, source_id: str, message_id: str, content: str = "") -> Message:
        """Forward a message of the channel *source_id*; *content* are words of one's own, which few clients offer."""
        reference = {"type": 1, "channel_id": source_id, "message_id": message_id}
        return self.send(user_id, channel_id, content, message_reference=reference)

    def edit(self, user_id: str, channel_id: str, message_id: str, content: str) -> Message:
        """Change the text of one's own message."""
        return render(self.state, self.message_rules.edit(user_id, channel_id, message_id, {"content": content}))

    def delete(self, user_id: str, channel_id: str, message_id: str) -> None:
        """Delete one's own message, or another's with MANAGE_MESSAGES; an ephemeral one is dismissed by its viewer."""
        message = self.state.messages.get(channel_id, {}).get(message_id)
        if message is not None and message.get("viewer_id") == user_id:
            self.message_rules.remove(message)
        else:
            self.message_rules.delete(user_id, channel_id, message_id)

    def delete_many(self, channel_id: str, message_ids: Sequence[str]) -> None:
        """Delete messages at once, as moderation bots do."""
        self.message_rules.remove_many(channel_id, message_ids)

    def react(self, user_id: str, channel_id: str, message_id: str, emoji: str) -> None:
        """React with a Unicode emoji or ``name:id``."""
        self.reaction_rules.add(user_id, channel_id, message_id, emoji)

    def unreact(self, user_id: str, channel_id: str, message_id: str, emoji: str, *, of: str | None = None) -> None:
        """Take back one's reaction, or with MANAGE_MESSAGES that ``of`` another user."""
        self.reaction_rules.remove(user_id, channel_id, message_id, emoji, of=of)

    def typing(self, user_id: str, channel_id: str) -> None:
        """Show that someone types."""
        self.channel_rules.typing(user_id, channel_id)

    def open_dm(self, user_id: str) -> Channel:
        """Return the direct messages between a person and the bot."""
        return self.channel_rules.open_dm(user_id)

    def create_channel(self, name: str, topic: str | None = None, *, is_forum: bool = False) -> Channel:
        """Add a text channel, or a forum, to the guild."""
        return self.channel_rules.create(name, topic, kind=FORUM if is_forum else TEXT)

    def delete_channel(self, channel_id: str) -> None:
        """Delete a channel or thread with its messages."""
        self.channel_rules.delete(channel_id)

    def create_thread(self, user_id: str, channel_id: str, name: str, *, message_id: str | None = None) -> Channel:
        """Start a public thread, on a message or by itself."""
        return self.channel_rules.create_thread(user_id, channel_id, {"name": name}, message_id)

    def create_post(self, user_id: str, forum_id: str, name: str, content: str) -> Channel:
        """Begin a forum post; its first message has its id."""
        return self.channel_rules.create_thread(user_id, forum_id, {"name": name, "message": {"content": content}})

    def set_archived(self, thread_id: str, archived: bool, *, locked: bool = False) -> Channel:
        """Archive or reopen a thread, as its moderators would."""
        return self.channel_rules.archive(self.state.channel(thread_id), archived, locked)

    def set_permissions(self, channel_id: str, target_id: str, *, allow: int = 0, deny: int = 0) -> None:
        """Replace the overwrite of a role or user in a channel."""
        self.channel_rules.overwrite(channel_id, target_id, allow, deny)

    def deny(self, channel_id: str, target_id: str, permission_bits: int) -> None:
        """Deny a role or user these bits in a channel, replacing the overwrite before."""
        self.channel_rules.overwrite(channel_id, target_id, 0, permission_bits)

    def permissions(self, user_id: str, channel_id: str) -> int:
        """Return the permission bits of a user in a channel."""
        return int(self.state.permissions(user_id, self.state.channel(channel_id)))

    def add_bot(self, name: str) -> str:
        """Bring another bot into the guild, for which `send` writes; return its id."""
        bot_id = self.state.ids.next()
        user = self.state.users[bot_id] = seed.user(bot_id, name.lower(), name, "#99aab5", bot=True)
        self.state.members[bot_id] = seed.member(user, [])
        return bot_id

    def kick_bot(self) -> None:
        """Remove the bot from the guild; it may no longer do anything there."""
        self.state.members.pop(seed.BOT_ID, None)
        self.state.emit("GUILD_DELETE", {"id": seed.GUILD_ID})

    def set_outage(self, is_on: bool) -> None:
        """Make the guild unavailable, as in an outage of Discord's, or available again."""
        self.state.is_unavailable = is_on
        gone = {"id": seed.GUILD_ID, "unavailable": True}
        self.state.emit(*(("GUILD_DELETE", gone) if is_on else ("GUILD_CREATE", guild_create(self.state))))

    def invite_bot(self) -> None:
        """Bring the bot back into the guild."""
        self.state.members[seed.BOT_ID] = seed.member(self.bot_user, [seed.BOT_ROLE_ID])
        self.state.emit("GUILD_CREATE", guild_create(self.state))

    def block_word(self, word: str) -> None:
        """Let AutoMod refuse every message that holds this word (200000)."""
        self.state.blocked_words.add(word)

    def messages(self, channel_id: str, viewer_id: str | None = None) -> list[Message]:
        """Return a channel's messages, oldest first; ephemeral ones only for their viewer."""
        self.state.channel(channel_id)
        stored = self.state.messages.get(channel_id, {}).values()
        seen = [each for each in stored if not each["flags"] & EPHEMERAL or each.get("viewer_id") == viewer_id]
        return [render(self.state, each) for each in sorted(seen, key=lambda each: int(each["id"]))]

    def message(self, channel_id: str, message_id: str) -> Message:
        """Return one message, ephemeral ones too, or raise 10008."""
        return render(self.state, self.state.message(channel_id, message_id))

    def usable_commands(self, user_id: str, channel_id: str) -> list[Payload]:
        """Return the commands that a person can pick in a channel."""
        return self.command_rules.usable(user_id, self.state.channel(channel_id))

    def run_command(self, user_id: str, channel_id: str, name_path: list[str], options: Payload) -> Interaction:
        """Run a slash command, as ``["model", "use"], {"name": "llama3.2"}``.

        The answer comes as messages and ``INTERACTION_STATE`` events. Without a
        bot, or when it is too slow, the state becomes ``failed``.
        """
        channel = self.state.channel(channel_id)
        self.state.require(user_id, channel)
        command = self.command_rules.find(user_id, channel, CHAT_INPUT, name_path[0])
        data = command_data(self.state, command, name_path, options, channel)
        return self.interactions.open(COMMAND, user_id, channel_id, data)

    def run_context_menu(self, user_id: str, channel_id: str, name: str, target_id: str) -> Interaction:
        """Run a message command, or a user command if the target is a user."""
        channel = self.state.channel(channel_id)
        self.state.require(user_id, channel)
        kind = USER if target_id in self.state.users else MESSAGE
        command = self.command_rules.find(user_id, channel, kind, name)
        data: Payload = {"id": command["id"], "name": name, "type": kind, "target_id": target_id, "resolved": {}}
        if kind == USER:
            resolve(self.state, 6, target_id, data["resolved"])
        else:
            target = self.message_rules.visible(channel_id, target_id)
            data["resolved"]["messages"] = {target_id: render(self.state, target)}
        return self.interactions.open(COMMAND, user_id, channel_id, data)

    async def autocomplete(
        self,
        user_id: str,
        channel_id: str,
        name_path: list[str],
        options: Payload,
        focused: str,
        timeout: float | None = None,
    ) -> list[Payload]:
        """Ask the bot what to offer for the focused option; return choices ``{name, value}``.

        ``timeout`` None waits as long as any interaction does; a `WorldError` 504 says "Loading options failed".
        """
        channel = self.state.channel(channel_id)
        command = self.command_rules.find(user_id, channel, CHAT_INPUT, name_path[0])
        data = command_data(self.state, command, name_path, options, channel, focused)
        answer: asyncio.Future[list[Payload]] = asyncio.get_running_loop().create_future()
        self.interactions.open(AUTOCOMPLETE, user_id, channel_id, data, choices=answer)
        try:
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            raise WorldError(504, 0, "Loading options failed") from None

    def click(
        self, user_id: str, channel_id: str, message_id: str, custom_id: str, values: Sequence[str] = ()
    ) -> Interaction:
        """Click a button, or choose in a select."""
        channel = self.state.channel(channel_id)
        self.state.require(user_id, channel)
        message = self.state.message(channel_id, message_id)
        if message.get("viewer_id", user_id) != user_id:
            raise unknown_message()
        component = find_component(message, custom_id)
        data: Payload = {"custom_id": custom_id, "component_type": component["type"], "id": component.get("id", 1)}
        if component["type"] != 2:
            data["values"] = list(values)
        if component["type"] in _SELECT_KINDS:  # discord.py takes a string select's values only without "resolved"
            data["resolved"] = {}
            for value in values:
                resolve(self.state, _SELECT_KINDS[component["type"]], value, data["resolved"])
        return self.interactions.open(COMPONENT, user_id, channel_id, data, source=render(self.state, message))

    def submit_modal(self, user_id: str, interaction_id: str, values: dict[str, Any]) -> Interaction:
        """Send in the modal that an interaction showed; ``values`` by custom_id.

        ``interaction_id`` may also be the modal's custom_id: then the newest such one is meant.
        """
        return self.interactions.submit(user_id, interaction_id, values)

    def expire_interaction(self, interaction_id: str) -> None:
        """Let an interaction's token run out now: its webhook routes answer 401, code 50027."""
        self.interactions.expire(interaction_id)

    def set_bot_online(self, online: bool) -> None:
        """Note whether the bot has a gateway session; called by the gateway."""
        if online != self.bot_online:
            self.bot_online = online
            self.state.emit("BOT_STATUS", {"online": online})

    def save(self) -> None:
        """Write the data file now, if there is one and something changed."""
        if self._storage is not None:
            self._storage.save()

    def close(self) -> None:
        """Stop all clocks and save."""
        self.interactions.close()
        if self._storage is not None:
            self._storage.save()

    def _changed(self, _event: str, _payload: Payload) -> None:
        if self._storage is not None:
            self._storage.schedule()
