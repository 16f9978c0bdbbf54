"""The gateway: sessions that identify, resume and receive what their intents ask for.

Source: https://discord.com/developers/docs/events/gateway
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from bot.playground.loopback import seed
from bot.playground.loopback.connection import Connection
from bot.playground.loopback.events import filtered, sparse
from bot.playground.loopback.payloads import guild_create
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.world import World

_DISPATCH, _HEARTBEAT, _IDENTIFY, _PRESENCE, _VOICE, _RESUME = 0, 1, 2, 3, 4, 6
_RECONNECT, _MEMBERS, _INVALID_SESSION, _HELLO, _ACK = 7, 8, 9, 10, 11
_PRIVILEGED_ALWAYS_REFUSED = (1 << 1) | (1 << 8)  # members and presences: the application has neither
_MESSAGE_CONTENT = 1 << 15
_ALL_INTENTS = (1 << 26) - 1
_LONGEST_FRAME = 4096  # bytes of a client's frame
_REPLAYED = 2000  # events kept for a resume
_SESSIONS = 32
# Loopback is too fast for discord.py: its thread notes the moment of a beat only after sending it
# (gateway.py, KeepAliveHandler.run), and an ACK that overtakes that counts as one interval late.
_ACK_SECONDS = 0.02


class Session:
    """What survives a connection: who it is and what it has been sent.

    Attributes:
        id: the session id of READY.
        intents: what the bot asked for.
        shard: (shard id, number of shards).
        seq: the number of the newest event.
        connection: where it is connected, or None.
    """

    def __init__(self, intents: int, shard: tuple[int, int], connection: Connection) -> None:
        self.id = secrets.token_hex(16)
        self.intents = intents
        self.shard = shard
        self.seq = 0
        self.connection: Connection | None = connection
        self._sent: deque[tuple[int, str, str]] = deque(maxlen=_REPLAYED)  # number, event, data

    def push(self, event: str, encoded: str) -> None:
        """Send an event with the next number, if connected, and keep it for a resume."""
        self.seq += 1
        self._sent.append((self.seq, event, encoded))
        if self.connection is not None:
            self.connection.send(_frame(self.seq, event, encoded))

    def repeat(self, event: str) -> None:
        """Send the newest event of that name once more, as Discord may."""
        found = next((encoded for _, name, encoded in reversed(self._sent) if name == event), None)
        if found is not None:
            self.push(event, found)

    def missed(self, seq: int) -> list[str] | None:
        """Return the frames after ``seq``, or None if some are forgotten."""
        if seq < self.seq and (not self._sent or self._sent[0][0] > seq + 1):
            return None
        return [_frame(*each) for each in self._sent if each[0] > seq]


def _frame(seq: int, event: str, encoded: str) -> str:
    return f'{{"op":0,"t":"{event}","s":{seq},"d":{encoded}}}'


class Gateway:
    """Serves the bot's websockets and turns the world's events into dispatches.

    Args:
        world: whose events are sent.
        url: returns the address to resume at (``ws://…``).
        heartbeat_seconds: how often the bot is told to beat.

    Attributes:
        sessions: by id, those that can be resumed included.
        identified: how many IDENTIFYs were accepted.
        resumed: how many RESUMEs were.
        silent: while true nothing is sent, not even heartbeat ACKs (a zombie connection).
        online: set while a session is connected.
    """

    def __init__(self, world: World, url: Callable[[], str], heartbeat_seconds: float = 41.25) -> None:
        self._world = world
        self._url = url
        self._heartbeat_seconds = heartbeat_seconds
        self.sessions: dict[str, Session] = {}
        self.identified = 0
        self.resumed = 0
        self.online = asyncio.Event()
        self._silent = False
        self._connections: set[Connection] = set()
        self._unsubscribe = world.subscribe(self._on_event)

    @property
    def silent(self) -> bool:
        """Whether the gateway plays dead."""
        return self._silent

    @silent.setter
    def silent(self, value: bool) -> None:
        self._silent = value
        for connection in self._connections:
            connection.hold(value)

    @property
    def connected(self) -> list[Session]:
        """The sessions that are connected now."""
        return [each for each in self.sessions.values() if each.connection is not None]

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Handle one websocket until it closes."""
        socket = web.WebSocketResponse(timeout=1.0, compress=False, max_msg_size=16 * 1024)
        await socket.prepare(request)
        connection = Connection(request, socket)
        connection.hold(self._silent)
        self._connections.add(connection)
        try:
            self.hello(connection)
            async for message in socket:
                if message.type is WSMsgType.TEXT and len(message.data.encode()) <= _LONGEST_FRAME:
                    self._on_frame(connection, message.data)
                elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    connection.close(4002, "Decode error")
        finally:
            self._connections.discard(connection)
            self._detach(connection, ended=not connection.closing and socket.close_code in {1000, 1001})
            await connection.finish()
        return socket

    def hello(self, connection: Connection) -> None:
        """Greet who has connected."""
        connection.send_op(_HELLO, {"heartbeat_interval": int(self._heartbeat_seconds * 1000), "_trace": []})

    async def shut_down(self) -> None:
        """Close every websocket (1001) and hear no more events."""
        self._unsubscribe()
        for connection in tuple(self._connections):
            connection.hold(False)
            connection.close(1001, "Going away")
        await asyncio.gather(*(each.finish() for each in tuple(self._connections)))

    def dispatch(self, event: str, payload: Any) -> None:
        """Send an event as it is to every session, whatever its intents."""
        encoded = orjson.dumps(payload).decode()
        for session in self.sessions.values():
            session.push(event, encoded)

    def send_op(self, op: int, data: Any = None) -> None:
        """Send an operation other than a dispatch to every connection."""
        for connection in self._connections:
            connection.send_op(op, data)

    def request_reconnect(self) -> None:
        """Ask the bot to reconnect and resume (op 7)."""
        self.send_op(_RECONNECT)

    def invalidate(self, *, resumable: bool) -> None:
        """Declare the sessions invalid (op 9); not resumable ones are forgotten."""
        if not resumable:
            for session in self.connected:
                self.sessions.pop(session.id)
            self._tell_online()
        self.send_op(_INVALID_SESSION, resumable)

    def close_all(self, code: int, reason: str = "") -> None:
        """Close every websocket with this code."""
        for connection in self._connections:
            connection.close(code, reason)

    def drop_all(self) -> None:
        """Cut every connection without a word."""
        for connection in self._connections:
            connection.abort()

    def _on_event(self, event: str, payload: Payload) -> None:
        state = self._world.state
        encoded: dict[bool, str] = {}
        for session in self.sessions.values():
            content = state.message_content and bool(session.intents & _MESSAGE_CONTENT)
            shown = filtered(state, event, payload, session.intents, session.shard, content=content)
            if shown is None:
                continue
            if content not in encoded:
                encoded[content] = orjson.dumps(sparse(event, shown) if state.is_sparse else shown).decode()
            session.push(event, encoded[content])

    def _on_frame(self, connection: Connection, text: str) -> None:
        try:
            frame = orjson.loads(text)
            op, data = frame["op"], frame.get("d")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            connection.close(4002, "Decode error")
            return
        session = self._session_of(connection)
        if op == _HEARTBEAT:
            asyncio.get_running_loop().call_later(_ACK_SECONDS, connection.send_op, _ACK)
        elif op == _IDENTIFY:
            self._identify(connection, session, data or {})
        elif op == _RESUME:
            self._resume(connection, session, data or {})
        elif session is None:
            connection.close(4003, "Not authenticated")
        elif op == _MEMBERS:
            self._send_members(session, data or {})
        elif op not in {_PRESENCE, _VOICE}:
            connection.close(4001, "Unknown opcode")

    def _identify(self, connection: Connection, session: Session | None, data: Payload) -> None:
        intents = data.get("intents")
        if session is not None:
            connection.close(4005, "Already authenticated")
        elif str(data.get("token", "")).removeprefix("Bot ") != self._world.token:
            connection.close(4004, "Authentication failed")
        elif not isinstance(intents, int) or not 0 <= intents <= _ALL_INTENTS:
            connection.close(4013, "Invalid intents")
        elif self._is_refused(intents):
            connection.close(4014, "Disallowed intents")
        else:
            shard = data.get("shard") or [0, 1]
            if not 0 <= shard[0] < shard[1]:
                connection.close(4010, "Invalid shard")
                return
            self._open(Session(intents, (shard[0], shard[1]), connection))

    def _is_refused(self, intents: int) -> bool:
        refused = _PRIVILEGED_ALWAYS_REFUSED
        if not self._world.state.message_content:
            refused |= _MESSAGE_CONTENT
        return bool(intents & refused)

    def _open(self, session: Session) -> None:
        self.identified += 1
        self.sessions[session.id] = session
        for old in [each for each in self.sessions.values() if each.connection is None][:-_SESSIONS]:
            self.sessions.pop(old.id)
        state = self._world.state
        home = (int(state.guild["id"]) >> 22) % session.shard[1]
        here = home == session.shard[0] and seed.BOT_ID in state.members
        ready = {
            "v": 10,
            "user": state.bot_user,
            "guilds": [{"id": state.guild["id"], "unavailable": True}] if here else [],
            "session_id": session.id,
            "resume_gateway_url": self._url(),
            "shard": list(session.shard),
            "application": {"id": seed.BOT_ID, "flags": application_flags(message_content=state.message_content)},
            "private_channels": [],
            "user_settings": {},
            "_trace": [],
        }
        session.push("READY", orjson.dumps(ready).decode())
        if here and not state.is_unavailable:
            session.push("GUILD_CREATE", orjson.dumps(guild_create(state)).decode())
        self._tell_online()

    def _resume(self, connection: Connection, current: Session | None, data: Payload) -> None:
        if current is not None:
            connection.close(4005, "Already authenticated")
            return
        if str(data.get("token", "")).removeprefix("Bot ") != self._world.token:
            connection.close(4004, "Authentication failed")
            return
        session = self.sessions.get(str(data.get("session_id")))
        missed = None if session is None else session.missed(int(data.get("seq") or 0))
        if session is None or missed is None:
            connection.send_op(_INVALID_SESSION, False)
            return
        if session.connection is not None:
            session.connection.close(4000, "Session resumed elsewhere")
        session.connection = connection
        self.resumed += 1
        for frame in missed:
            connection.send(frame)
        session.push("RESUMED", "{}")
        self._tell_online()

    def _send_members(self, session: Session, data: Payload) -> None:
        state = self._world.state
        wanted = data.get("user_ids")
        ids = (
            [str(each) for each in (wanted if isinstance(wanted, list) else [wanted])]
            if wanted
            else list(state.members)
        )
        query = str(data.get("query") or "").lower()
        found = [state.members[each] for each in ids if each in state.members]
        chunk = {
            "guild_id": state.guild["id"],
            "members": [each for each in found if each["user"]["username"].lower().startswith(query)],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [each for each in ids if each not in state.members],
            "nonce": data.get("nonce"),
        }
        session.push("GUILD_MEMBERS_CHUNK", orjson.dumps(chunk).decode())

    def _session_of(self, connection: Connection) -> Session | None:
        return next((each for each in self.sessions.values() if each.connection is connection), None)

    def _detach(self, connection: Connection, *, ended: bool) -> None:
        session = self._session_of(connection)
        if session is not None:
            session.connection = None
            if ended:  # a client that closes with 1000 or 1001 gives its session up
                self.sessions.pop(session.id, None)
        self._tell_online()

    def _tell_online(self) -> None:
        online = bool(self.connected)
        if online:
            self.online.set()
        else:
            self.online.clear()
        self._world.set_bot_online(online)


def application_flags(*, message_content: bool) -> int:
    """Return the application's flags: GATEWAY_MESSAGE_CONTENT_LIMITED and APPLICATION_COMMAND_BADGE."""
    return (1 << 23) | ((1 << 19) if message_content else 0)
