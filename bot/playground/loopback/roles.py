"""Roles: made, changed, given and taken; the bot hears of all roles and, of members, of its own."""

from __future__ import annotations

from bot.playground.loopback import seed
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.state import State


class Roles:
    """What the server's owner does with roles."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(self, name: str, permissions: int) -> Payload:
        """Make a role; nobody has it yet."""
        state = self._state
        role = seed.role(str(state.ids.next()), name, len(state.guild["roles"]), permissions)
        state.guild["roles"] = [*state.guild["roles"], role]
        return self._tell("GUILD_ROLE_CREATE", role)

    def edit(self, role_id: str, permissions: int) -> Payload:
        """Change what a role permits."""
        role = self._role(role_id) | {"permissions": str(int(permissions))}
        roles = self._state.guild["roles"]
        self._state.guild["roles"] = [role if each["id"] == role_id else each for each in roles]
        return self._tell("GUILD_ROLE_UPDATE", role)

    def delete(self, role_id: str) -> None:
        """Take a role from everybody and every channel, and away."""
        state = self._state
        state.guild["roles"] = [each for each in state.guild["roles"] if each["id"] != role_id]
        for member in state.members.values():
            member["roles"] = [each for each in member["roles"] if each != role_id]
        state.touch()
        state.emit("GUILD_ROLE_DELETE", {"guild_id": state.guild["id"], "role_id": role_id})
        for channel in [each for each in state.channels.values() if each.get("permission_overwrites")]:
            kept = [each for each in channel["permission_overwrites"] if each["id"] != role_id]
            if kept != channel["permission_overwrites"]:
                channel["permission_overwrites"] = kept
                state.emit("CHANNEL_UPDATE", dict(channel))

    def give(self, user_id: str, role_id: str) -> None:
        """Let a member have a role."""
        member = self._state.members[user_id]
        self._set(member, [*member["roles"], self._role(role_id)["id"]])

    def take(self, user_id: str, role_id: str) -> None:
        """Take a role from a member."""
        member = self._state.members[user_id]
        self._set(member, [each for each in member["roles"] if each != role_id])

    def _set(self, member: Payload, roles: list[str]) -> None:
        member["roles"] = roles
        self._state.touch()
        self._state.emit("GUILD_MEMBER_UPDATE", {**member, "guild_id": self._state.guild["id"]})

    def _role(self, role_id: str) -> Payload:
        role: Payload = next(each for each in self._state.guild["roles"] if each["id"] == role_id)
        return role

    def _tell(self, event: str, role: Payload) -> Payload:
        self._state.touch()
        self._state.emit(event, {"guild_id": self._state.guild["id"], "role": role})
        return role
