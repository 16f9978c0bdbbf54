"""Every failure that we expect, and one sentence for the user for each.

The tree::

    BurbleError
    ├── SettingsError                 a setting is missing or wrong (exit code 2)
    ├── StoreError                    the database cannot be used
    ├── PromptTooLong                 the prompt alone does not fit the window
    ├── PromptRefused                 not taken in: there is too much of it
    │   ├── TooManyPrompts            one user or one channel asks too often
    │   └── QueueFull                 too many prompts wait already
    ├── ShuttingDown                  the bot is being stopped
    ├── OllamaError                   anything between us and the model
    │   ├── OllamaUnreachable         no connection: refused, reset, no route
    │   │   ├── OllamaNameError       its host name does not resolve
    │   │   └── OllamaTLSError        TLS against plain HTTP, a bad certificate
    │   ├── OllamaTimeout
    │   │   ├── ConnectTimeout        no connection in time
    │   │   ├── FirstByteTimeout      connected, but no answer began in time
    │   │   └── IdleTimeout           an answer began, then nothing for too long
    │   ├── OllamaStatusError         an HTTP status of 300 or more
    │   │   ├── ModelMissing          404: not installed
    │   │   ├── OllamaBusy            429, 502, 503, 504, 524: later, please
    │   │   ├── OllamaUnauthorized    401, 403: key, sign-in, Host or Origin
    │   │   └── ContextOverflow       the server says the prompt does not fit
    │   ├── NoModelInstalled          nothing there that can answer
    │   ├── NotOllama                 something answers there, but not Ollama
    │   ├── StreamError               an error line in the middle of an answer
    │   ├── StreamCut                 the answer ended without its last line
    │   └── ProtocolError             an answer we cannot read (a line too long …)
    └── DeliveryError                 Discord did not take a part of a reply
        ├── DeliveryRetry             not now: again, with the newest text
        │   └── DeliveryRateLimited   a 429; says how long and for what
        ├── MessageGone               the message or its channel was deleted
        ├── DeliveryForbidden         we may not write there (any more)
        └── DeliveryRejected          this very text was refused (too long, AutoMod)

The texts of Ollama's own errors are kept in ``detail``; they never hold a
user's words, but may be long: show them through `sentence`, which shortens.
"""

from __future__ import annotations

import unicodedata
from typing import Literal

_DETAIL_LENGTH = 300
_NAME_LENGTH = 80


def _inline(text: str, limit: int) -> str:
    """Return *text* as inline code can hold it: on one line, without controls and bidi marks, cut to *limit*."""
    kept = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[: 4 * limit])
    line = " ".join(kept.split()).replace("`", "ˋ")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _duration(seconds: float) -> str:
    """Return a time to wait in words, rounded up."""
    count, unit = (-(-seconds // 60), "minute") if seconds > 90 else (-(-seconds // 1), "second")
    return f"{count:.0f} {unit}{'s' if count != 1 else ''}"


class BurbleError(Exception):
    """Base of every error that we raise on purpose."""

    def sentence(self) -> str:
        """Return one or two sentences for the person in the channel: what happened and what to do."""
        return str(self) or "Something went wrong."


class SettingsError(BurbleError):
    """One or more settings are missing or wrong; the message holds a line for each."""


class StoreError(BurbleError):
    """The database cannot be used; the message names the file and the remedy."""


class PromptTooLong(BurbleError):
    """The prompt alone does not fit the model's window.

    Attributes:
        prompt_tokens: what the prompt is estimated to need, system prompt included.
        room_tokens: what the window leaves for it.
    """

    def __init__(self, prompt_tokens: int, room_tokens: int) -> None:
        super().__init__(f"prompt of about {prompt_tokens} tokens, room for {room_tokens}")
        self.prompt_tokens = prompt_tokens
        self.room_tokens = room_tokens

    def sentence(self) -> str:
        """Name both sizes."""
        return (
            f"That message is too long for the model: about {self.prompt_tokens:,} tokens, "
            f"and there is room for {self.room_tokens:,}. Nothing was sent; please shorten it."
        )


class PromptRefused(BurbleError):
    """A prompt is not taken in, so that those of others can be.

    Attributes:
        seconds: when it is worth asking again, 0 if nobody knows.
        is_repeated: the same was said in that channel a moment ago.
    """

    seconds = 0.0
    is_repeated = False


class TooManyPrompts(PromptRefused):
    """One user asks too often, or many do in one channel.

    Attributes:
        by: whose limit it is.
        per_minute: the limit.
    """

    def __init__(self, by: Literal["user", "channel"], per_minute: int, seconds: float) -> None:
        super().__init__(f"more than {per_minute} prompts a minute of one {by}")
        self.by = by
        self.per_minute = per_minute
        self.seconds = seconds

    def sentence(self) -> str:
        """Name the limit and the time to wait."""
        whom = "one person" if self.by == "user" else "one channel"
        return (
            f"That is too fast for me: I take {self.per_minute} questions a minute from {whom}. "
            f"Please ask again in {_duration(self.seconds)}; what comes before that stays unanswered."
        )


class QueueFull(PromptRefused):
    """Too many prompts wait.

    Attributes:
        of: whose, ``all`` meaning everywhere.
    """

    def __init__(self, of: Literal["user", "channel", "all"]) -> None:
        super().__init__(f"too many prompts wait ({of})")
        self.of = of

    def sentence(self) -> str:
        """Say whose questions wait, and ask for patience."""
        if self.of == "user":
            return (
                "Too many of your questions are waiting already. "
                "Please ask again when some are answered, or end them with `/stop`."
            )
        if self.of == "channel":
            return "Too many questions are waiting in this channel already. Please ask again when some are answered."
        return "I am busy: too many questions are waiting in all my channels. Please ask again in a few minutes."


class ShuttingDown(BurbleError):
    """No new prompt is taken: the bot is being stopped."""

    def sentence(self) -> str:
        """Ask for patience."""
        return "I am shutting down. Please ask again once I am back."


class OllamaError(BurbleError):
    """Anything that went wrong between us and the model server.

    Attributes:
        url: the server's base URL without credentials.
        detail: the server's or the system's own words, if there are any.
    """

    def __init__(self, url: str, detail: str = "") -> None:
        short = _inline(detail, _DETAIL_LENGTH)
        super().__init__(f"{type(self).__name__} at {url}: {short}" if short else f"{type(self).__name__} at {url}")
        self.url = url
        self.detail = detail

    @property
    def short_detail(self) -> str:
        """The detail on one line, at most 300 code points, unable to leave inline code."""
        return _inline(self.detail, _DETAIL_LENGTH)

    def sentence(self) -> str:
        """Fall back to the server's own words."""
        return f"The model server had a problem: `{self.short_detail or type(self).__name__}`."


class OllamaUnreachable(OllamaError):
    """No connection could be made, or it was closed before an answer began."""

    def sentence(self) -> str:
        """Name the address and the first thing to check."""
        return (
            f"I cannot reach Ollama at `{self.url}`. Is it running? "
            "Whoever hosts me can check `ollama serve` and `OLLAMA_HOST`."
        )


class OllamaNameError(OllamaUnreachable):
    """The host name in `OLLAMA_HOST` does not resolve."""

    def sentence(self) -> str:
        """Point at the setting."""
        return f"I cannot find the host of `{self.url}`. Whoever hosts me should check the name in `OLLAMA_HOST`."


class OllamaTLSError(OllamaUnreachable):
    """The TLS handshake failed: a wrong scheme or a certificate that is not trusted."""

    def sentence(self) -> str:
        """Point at the scheme."""
        return (
            f"The secure connection to `{self.url}` failed. Whoever hosts me should check whether "
            "`OLLAMA_HOST` wants `http://` or `https://`."
        )


class OllamaTimeout(OllamaError):
    """Base of the three limits on waiting.

    Attributes:
        seconds: the limit that ran out.
    """

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(url, f"nothing for {seconds:g} s")
        self.seconds = seconds


class ConnectTimeout(OllamaTimeout):
    """No connection within `CONNECT_TIMEOUT_SECONDS`."""

    def sentence(self) -> str:
        """Name the address."""
        return f"Ollama at `{self.url}` did not take my connection within {self.seconds:g} s. Is that machine up?"


class FirstByteTimeout(OllamaTimeout):
    """Connected, but no answer began within `FIRST_BYTE_TIMEOUT_SECONDS`."""

    def sentence(self) -> str:
        """Name the likely cause."""
        return (
            f"The model did not begin to answer within {self.seconds:g} s; "
            "it may be busy with someone else. Please try again later."
        )


class IdleTimeout(OllamaTimeout):
    """An answer began, then nothing came for `IDLE_TIMEOUT_SECONDS`."""

    def sentence(self) -> str:
        """Say that it went quiet."""
        return f"The model went quiet for {self.seconds:g} s, so I stopped waiting. Ask again to retry."


class OllamaStatusError(OllamaError):
    """The server answered with an HTTP status of 300 or more.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, url: str, status: int, detail: str = "") -> None:
        super().__init__(url, detail or f"HTTP {status}")
        if detail:
            self.args = (f"{self} (HTTP {status})",)
        self.status = status

    def sentence(self) -> str:
        """Give Ollama's own words."""
        return f"Ollama refused the request (HTTP {self.status}): `{self.short_detail}`."


class ModelMissing(OllamaStatusError):
    """The model is not installed.

    Attributes:
        model: its name.
    """

    def __init__(self, url: str, model: str, detail: str = "") -> None:
        super().__init__(url, 404, detail or f"model '{model}' not found")
        self.model = model

    def sentence(self) -> str:
        """Name the command that installs it."""
        name = _inline(self.model, _NAME_LENGTH) or "?"
        return (
            f"The model `{name}` is not installed. Choose another with `/model use`, "
            f"or whoever hosts me can run `ollama pull {name}`."
        )


class OllamaBusy(OllamaStatusError):
    """The server is overloaded or a proxy before it cannot reach it.

    Attributes:
        retry_after: seconds that the server asked us to wait, or None.
    """

    def __init__(self, url: str, status: int, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(url, status, detail)
        self.retry_after = retry_after

    def sentence(self) -> str:
        """Ask for patience, for as long as the server did."""
        when = "in a moment" if self.retry_after is None else f"in {_duration(max(self.retry_after, 1.0))}"
        return f"Ollama is busy right now (HTTP {self.status}): `{self.short_detail}`. Please try again {when}."


class OllamaUnauthorized(OllamaStatusError):
    """The server wants a key, a sign-in, or refuses our Host.

    Attributes:
        signin_url: the page that Ollama names for signing in, or None.
    """

    def __init__(self, url: str, status: int, detail: str = "", signin_url: str | None = None) -> None:
        super().__init__(url, status, detail)
        self.signin_url = signin_url

    def sentence(self) -> str:
        """Give Ollama's words and point at the key or the sign-in page."""
        where = f" at <{self.signin_url}>" if self.signin_url else ""
        return (
            f"Ollama at `{self.url}` does not let me in (`{self.short_detail}`). Whoever hosts me should check "
            f"`OLLAMA_API_KEY`, or sign in{where}."
        )


class ContextOverflow(OllamaStatusError):
    """The server measured the prompt and it does not fit the window."""

    def sentence(self) -> str:
        """Say how to go on."""
        return "The conversation no longer fits the model's window. Shorten the message, or start afresh with `/reset`."


class NoModelInstalled(OllamaError):
    """The server has no model that can answer."""

    def sentence(self) -> str:
        """Name the command that installs one."""
        return f"Ollama at `{self.url}` has no model that can answer. Whoever hosts me can run `ollama pull llama3.2`."


class NotOllama(OllamaError):
    """Something answers at that address, but it is not Ollama (a web page, another protocol)."""

    def sentence(self) -> str:
        """Point at the setting."""
        return (
            f"What answers at `{self.url}` is not Ollama (`{self.short_detail}`). "
            "Whoever hosts me should check `OLLAMA_HOST`."
        )


class StreamError(OllamaError):
    """An error line came in the middle of an answer."""

    def sentence(self) -> str:
        """Give Ollama's own words."""
        return f"Ollama stopped in the middle of the answer: `{self.short_detail}`."


class StreamCut(OllamaError):
    """The answer ended without its last line: the connection broke, or the server gave up.

    Attributes:
        is_lost: the connection broke; False where the server ended the answer in good order.
    """

    def __init__(self, url: str, detail: str = "", *, is_lost: bool = True) -> None:
        super().__init__(url, detail)
        self.is_lost = is_lost

    def sentence(self) -> str:
        """Say that there may be more."""
        return (
            "The answer was cut off before its end: the connection to Ollama broke or the model gave up. "
            "Ask again to retry."
        )


class ProtocolError(OllamaError):
    """An answer that we cannot read: a line over the cap, JSON that is none."""

    def sentence(self) -> str:
        """Name what was wrong."""
        return f"I could not read Ollama's answer: `{self.short_detail}`."


class DeliveryError(BurbleError):
    """Discord did not take a part of a reply.

    Attributes:
        status: the HTTP status, or 0 when none came.
        code: Discord's JSON error code, or 0.
    """

    def __init__(self, status: int = 0, code: int = 0, detail: str = "") -> None:
        super().__init__(f"{type(self).__name__}: HTTP {status}, code {code} {detail}".rstrip())
        self.status = status
        self.code = code
        self.detail = detail


class DeliveryRetry(DeliveryError):
    """Not now (5xx, reset, timeout): try again, with the newest text."""


class DeliveryRateLimited(DeliveryRetry):
    """A 429.

    Attributes:
        retry_after: seconds until one more request may go.
        scope: ``user``, ``shared`` or ``global``.
    """

    def __init__(self, retry_after: float, scope: str = "user", code: int = 0) -> None:
        super().__init__(429, code, f"{scope}, retry after {retry_after:g} s")
        self.retry_after = retry_after
        self.scope = scope


class MessageGone(DeliveryError):
    """The message, its channel or the interaction was deleted: stop, do not recreate."""


class DeliveryForbidden(DeliveryError):
    """We may not write there (any more): permissions, archived and locked, kicked."""


class DeliveryRejected(DeliveryError):
    """This very text was refused: too long, blank, AutoMod."""
