"""A message's text as its reader sees it: mentions, channels and emoji as names, and nothing that hides.

What a person cannot see does not reach the model either: zero-width and bidi
characters, tag characters that spell a hidden order, towers of marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import discord

from bot.conversation.speaker_labels import clean_name
from bot.markdown.sanitize import cleaned
from bot.markdown.text import escape_markdown, is_blank
from bot.parts import Attachment, Part, Text

_MENTION = re.compile(r"<@!?(\d{15,25})>")
_ROLE = re.compile(r"<@&(\d{15,25})>")
_CHANNEL = re.compile(r"<#(\d{15,25})>")
_EMOJI = re.compile(r"<a?:(\w{1,32}):\d{15,25}>")
_LONGEST_NAME = 100  # code points, as Discord has it for roles and channels
_PROMPTS = (discord.MessageType.default, discord.MessageType.reply)
_COMMAND = re.compile(r"</([^:>\n]{1,100}):\d{15,25}>")


def own_parts(message: discord.Message, me: discord.abc.User) -> tuple[Part, ...]:
    """Return the words and files of *message* itself."""
    words = words_of(message, me)
    return (*((Text(words),) if words else ()), *map(Attachment, file_names(message.attachments)))


def words_of(message: discord.Message, me: discord.abc.User) -> str:
    """Return what *message* says, readable; empty where nobody sees any words.

    The bot's own mention (its user or its managed role) is stripped.
    """
    own_roles = {role.id for role in message.role_mentions if is_own_role(role, me)}
    users = {user.id: user.display_name for user in message.mentions}
    roles = {role.id: role.name for role in message.role_mentions}
    channels = {channel.id: channel.name for channel in message.channel_mentions}
    return _with_names(message.content, me, own_roles, users, roles, channels)


def option_text(text: str, guild: discord.Guild | None, me: discord.abc.User) -> str:
    """Return a text for the model of which Discord does not say who is mentioned: a command's option, a forward."""
    if guild is None:
        return _with_names(text, me, set(), {}, {}, {})
    users = {member.id: member.display_name for member in guild.members}
    roles = {role.id: role.name for role in guild.roles}
    channels = {channel.id: channel.name for channel in [*guild.channels, *guild.threads]}
    return _with_names(text, me, {role.id for role in guild.roles if is_own_role(role, me)}, users, roles, channels)


def _with_names(
    text: str,
    me: discord.abc.User,
    own_roles: set[int],
    users: dict[int, str],
    roles: dict[int, str],
    channels: dict[int, str],
) -> str:
    def user_name(match: re.Match[str]) -> str:
        user_id = int(match[1])
        return "" if user_id == me.id else f"@{clean_name(users.get(user_id, 'someone'))}"

    def role_name(match: re.Match[str]) -> str:
        role_id = int(match[1])
        return "" if role_id in own_roles else f"@{_flat(roles.get(role_id, 'a role'))}"

    text = _MENTION.sub(user_name, cleaned(text))
    text = _ROLE.sub(role_name, text)
    text = _CHANNEL.sub(lambda match: f"#{_flat(channels.get(int(match[1]), 'a channel'))}", text)
    text = _EMOJI.sub(r":\1:", text)
    text = _COMMAND.sub(r"/\1", text).strip()
    return "" if is_blank(text) else text


def file_names(files: Iterable[discord.Attachment]) -> list[str]:
    """Return what *files* are called, readable."""
    return [_flat(file.filename) for file in files]


def _flat(name: str) -> str:
    """Return the name of a file, role or channel on one line and not too long."""
    return " ".join(cleaned(name[:_LONGEST_NAME]).split())


def shown_name(user: discord.abc.User | str) -> str:
    """Return a person's name for a sentence of ours: one line, nothing hidden, no Markdown, no ping."""
    return escape_markdown(clean_name(user if isinstance(user, str) else user.display_name))


def place_of(channel: object, guild: discord.Guild | None) -> str:
    """Return where something was said, by its names, for the log."""
    if guild is None:
        return "direct messages"
    name = clean_name(str(getattr(channel, "name", None) or "?"))
    return f"#{name} of {clean_name(guild.name or '?')}"


def is_own_role(role: discord.Role, me: discord.abc.User) -> bool:
    """Tell whether *role* is the one that Discord made for the bot."""
    return role.tags is not None and role.tags.bot_id == me.id


def is_prompt(message: discord.Message) -> bool:
    """Tell whether a person wrote *message*, not Discord and not a bot."""
    return not message.author.bot and message.type in _PROMPTS


def is_addressed(message: discord.Message, me: discord.abc.User) -> bool:
    """Tell whether *message* speaks to the bot: a DM, a mention, a reply to one of its messages.

    A reply whose content Discord hides (no message-content intent, no ping)
    does not count: there is nothing to answer.
    """
    if message.guild is None or any(user.id == me.id for user in message.mentions):
        return True
    if any(is_own_role(role, me) for role in message.role_mentions):
        return True
    replied = message.reference.resolved if message.reference else None
    return isinstance(replied, discord.Message) and replied.author.id == me.id and has_content(message)


def has_content(message: discord.Message) -> bool:
    """Tell whether there is anything in *message* that we may see."""
    return bool(message.content or message.attachments or message.stickers or message.message_snapshots)
