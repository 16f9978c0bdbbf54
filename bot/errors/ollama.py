"""What goes wrong between us and the model server.

The texts of Ollama's own errors are kept in ``detail``, for the log alone: they
name hosts, paths and accounts.
"""

from __future__ import annotations

from bot.errors.base import BurbleError
from bot.errors.words import duration, inline

_DETAIL_LENGTH = 300
_NAME_LENGTH = 80


class OllamaError(BurbleError):
    """Anything that went wrong between us and the model server.

    Attributes:
        url: the server's base URL without credentials.
        detail: the server's or the system's own words, if there are any.
    """

    def __init__(self, url: str, detail: str = "") -> None:
        short = inline(detail, _DETAIL_LENGTH)
        super().__init__(f"{type(self).__name__} at {url}: {short}" if short else f"{type(self).__name__} at {url}")
        self.url = url
        self.detail = detail

    def sentence(self) -> str:
        """Say whose problem it is."""
        return self.referring("The model server had a problem. Please try again.")


class OllamaUnreachable(OllamaError):
    """No connection could be made, or it was closed before an answer began."""

    def sentence(self) -> str:
        """Name the first thing to check."""
        return self.referring(
            "I cannot reach Ollama. Is it running? Whoever hosts me can check `ollama serve` and `OLLAMA_HOST`."
        )


class OllamaNameError(OllamaUnreachable):
    """The host name in `OLLAMA_HOST` does not resolve."""

    def sentence(self) -> str:
        """Point at the setting."""
        return self.referring("I cannot find Ollama's host. Whoever hosts me should check the name in `OLLAMA_HOST`.")


class OllamaTLSError(OllamaUnreachable):
    """The TLS handshake failed: a wrong scheme or a certificate that is not trusted."""

    def sentence(self) -> str:
        """Point at the scheme."""
        return self.referring(
            "The secure connection to Ollama failed. Whoever hosts me should check whether "
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
        """Name the likely cause."""
        return self.referring(f"Ollama did not take my connection within {self.seconds:g} s. Is its machine up?")


class FirstByteTimeout(OllamaTimeout):
    """Connected, but no answer began within `FIRST_BYTE_TIMEOUT_SECONDS`."""

    def sentence(self) -> str:
        """Name the likely cause."""
        return self.referring(
            f"The model did not begin to answer within {self.seconds:g} s; "
            "it may be busy with someone else. Please try again later."
        )


class IdleTimeout(OllamaTimeout):
    """An answer began, then nothing came for `IDLE_TIMEOUT_SECONDS`."""

    def sentence(self) -> str:
        """Say that it went quiet."""
        return self.referring(f"The model went quiet for {self.seconds:g} s, so I stopped waiting. Ask again to retry.")


class OllamaStatusError(OllamaError):
    """The server answered with an HTTP status of 300 or more.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, url: str, status: int, detail: str = "") -> None:
        super().__init__(url, detail or f"HTTP {status}")
        if detail:
            self.args = (f"{self.args[0]} (HTTP {status})",)
        self.status = status

    def sentence(self) -> str:
        """Give the status: whoever hosts the bot may know it."""
        return self.referring(f"Ollama refused the request (HTTP {self.status}).")


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
        name = inline(self.model, _NAME_LENGTH) or "?"
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
        when = "in a moment" if self.retry_after is None else f"in {duration(max(self.retry_after, 1.0))}"
        return self.referring(f"Ollama is busy right now (HTTP {self.status}). Please try again {when}.")


class QuotaExceeded(OllamaStatusError):
    """A limit of hours or more is used up, or the account's plan does not cover the model: waiting a little is vain."""

    def sentence(self) -> str:
        """Say that it lasts, in no word of the server's: that names the account."""
        return self.referring(
            "The model's allowance is used up for now, so asking again soon is in vain. Choose another model with "
            "`/model use`; whoever hosts me finds the limit in my log."
        )


class OllamaUnauthorized(OllamaStatusError):
    """The server wants a key, a sign-in, or refuses our Host.

    Attributes:
        signin_url: the page that Ollama names for signing in, or None.
    """

    def __init__(self, url: str, status: int, detail: str = "", signin_url: str | None = None) -> None:
        super().__init__(url, status, f"{detail}; sign in at {signin_url}" if signin_url else detail)
        self.signin_url = signin_url

    def sentence(self) -> str:
        """Point at the key and the sign-in."""
        return self.referring("Ollama does not let me in. Whoever hosts me should check `OLLAMA_API_KEY`, or sign in.")


class ContextOverflow(OllamaStatusError):
    """The server measured the prompt and it does not fit the window."""

    def sentence(self) -> str:
        """Say how to go on."""
        return "The conversation no longer fits the model's window. Shorten the message, or start afresh with `/reset`."


class NoModelInstalled(OllamaError):
    """The server has no model that can answer."""

    def sentence(self) -> str:
        """Name the command that installs one."""
        return "Ollama has no model that can answer. Whoever hosts me can run `ollama pull llama3.2`."


class NotOllama(OllamaError):
    """Something answers at that address, but it is not Ollama (a web page, another protocol)."""

    def sentence(self) -> str:
        """Point at the setting."""
        return self.referring(
            "What answers in Ollama's place is not Ollama. Whoever hosts me should check `OLLAMA_HOST`."
        )


class StreamError(OllamaError):
    """An error line came in the middle of an answer."""

    def sentence(self) -> str:
        """Say where it happened."""
        return self.referring("Ollama had a problem in the middle of the answer, and stopped.")


class StreamCut(OllamaError):
    """The answer ended without its last line: the connection broke, or the server gave up.

    Attributes:
        is_lost: the connection broke; False where the server ended the answer in good order.
        is_repetition: the server did so since the model wrote the same thing over and over.
    """

    def __init__(self, url: str, detail: str = "", *, is_lost: bool = True, is_repetition: bool = False) -> None:
        super().__init__(url, detail)
        self.is_lost = is_lost and not is_repetition
        self.is_repetition = is_repetition

    def sentence(self) -> str:
        """Say that there may be more, or that there was too much of the same."""
        if self.is_repetition:
            return "The model began to repeat itself, so Ollama stopped it here. Please ask again, best in other words."
        return self.referring(
            "The answer was cut off before its end: the connection to Ollama broke or the model gave up. "
            "Ask again to retry."
        )


class ProtocolError(OllamaError):
    """An answer that we cannot read: a line over the cap, JSON that is none."""

    def sentence(self) -> str:
        """Say what was wrong."""
        return self.referring("I could not read Ollama's answer.")
