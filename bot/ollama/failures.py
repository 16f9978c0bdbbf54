"""From HTTP and socket trouble to our errors: pure, no requests of its own."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from bot.errors import (
    ConnectTimeout,
    ContextOverflow,
    ModelMissing,
    NotOllama,
    OllamaBusy,
    OllamaError,
    OllamaNameError,
    OllamaStatusError,
    OllamaTLSError,
    OllamaUnauthorized,
    OllamaUnreachable,
    QuotaExceeded,
    StreamCut,
    StreamError,
)
from bot.ollama.ndjson import NDJSONError, decode_json
from bot.ollama.quota import is_used_up

# Besides Ollama's own 429, 502 and 503: gateways whose upstream is down or slow.
_BUSY = frozenset({408, 429, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530})
_TLS_HINTS = ("https server", "https port")
_OVERFLOW_TYPE = "exceed_context_size_error"
_OVERFLOW_TEXTS = ("prompt is longer than the context length", "exceeds the available context size")
_FOREIGN_TEXT = "unexpected endpoint"  # LM Studio, which answers 200 to whatever it does not know
_REPEATED_TEXT = "token repeat limit"
_MAX_RETRY_AFTER = 3600.0
_MAX_UNWRAP = 4
_ANSWER_KEYS = frozenset({"message", "response", "done", "models", "version", "details"})
_CREDENTIALS = re.compile(r"//[^/]*@")
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)


def connection_error(url: str, error: Exception, connect_timeout: float) -> OllamaError:
    """Return our error for what aiohttp raised before any header came."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ConnectTimeout(url, connect_timeout)
        case aiohttp.ClientConnectorDNSError():
            return OllamaNameError(url, _reason(error))
        case aiohttp.ClientSSLError() | ssl.SSLError() | aiohttp.ServerFingerprintMismatch():
            return OllamaTLSError(url, _reason(error))
        case aiohttp.ClientConnectorError() if url.startswith("https:") and _broke_off(error.os_error):
            return OllamaTLSError(url, "the other side broke the handshake off")
        case aiohttp.ClientResponseError():
            return _not_http(url, error)
    return OllamaUnreachable(url, _reason(error))


def status_error(url: str, status: int, headers: Mapping[str, str], body: bytes, model: str | None) -> OllamaError:
    """Return our error for an HTTP status of 300 or more and (the beginning of) its body."""
    answer = _json_or_none(body)
    text = error_text(answer)
    if told := told_error(url, status, answer, text):
        return told
    retry_after = parse_retry_after(headers.get("Retry-After"))
    if is_used_up(status, body.decode("utf-8", "replace") if answer is None else str(answer), retry_after):
        return QuotaExceeded(url, status, text or _plain(body, status))
    if status in _BUSY:
        return OllamaBusy(url, status, text or _plain(body, status), retry_after)
    if status in (401, 403):
        detail = text or _plain(body, status) or "an empty answer: the Host or Origin header was refused"
        return OllamaUnauthorized(url, status, detail, _signin_url(answer))
    if text:
        return ModelMissing(url, model, text) if status == 404 and model else OllamaStatusError(url, status, text)
    return _foreign_status(url, status, headers, body)


def is_error(answer: Mapping[str, Any]) -> bool:
    """Tell whether an object tells of an error; an empty one beside an answer is none.

    >>> is_error({"error": "", "message": {"content": "Hi"}}), is_error({"error": ""}), is_error({"error": None})
    (False, True, False)
    """
    error = answer.get("error")
    return bool(error) or (error is not None and not _ANSWER_KEYS & answer.keys())


def line_error(url: str, answer: Mapping[str, Any]) -> OllamaError:
    """Return our error for an ``{"error": …}`` object that came with status 200."""
    text = error_text(answer) or "an error without a text"
    if told := told_error(url, 400, answer, text):
        return told
    if is_used_up(429, str(answer)):
        return QuotaExceeded(url, 429, text)
    return StreamError(url, text)


def error_text(answer: object) -> str:
    """Return the words of an error answer, or an empty string if it has none.

    Errors of llama-server come wrapped: their JSON body is Ollama's error text
    (``llm/llama_server.go``), so texts that are JSON are unwrapped.
    """
    for _ in range(_MAX_UNWRAP):
        answer = _error_field(answer)
        if not isinstance(answer, str):
            continue
        inner = _json_or_none(answer.encode("utf-8", "replace"))
        if not isinstance(inner, dict) or not _error_field(inner):
            return answer.strip()
        answer = inner
    return ""


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header (a number or an HTTP date), at most an hour.

    >>> parse_retry_after("7"), parse_retry_after("soon"), parse_retry_after("1e9")
    (7.0, None, 3600.0)
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value)
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)


def foreign_line(line: bytes) -> str | None:
    """Return what a line that is not JSON looks like, or None if it may be Ollama's, broken."""
    start = line.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<"):
        return f"a web page{_title(line)}"
    if start.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        return "server-sent events, as an OpenAI-style gateway sends them"
    return None


def _error_field(answer: object) -> object:
    """Return the next layer of an error: the ``error`` of an object, else its ``message``."""
    if not isinstance(answer, dict):
        return answer if isinstance(answer, str) else None
    return answer.get("error") or answer.get("message")


def told_error(url: str, status: int, answer: object, text: str) -> OllamaError | None:
    """Return the error that the words alone tell, whatever they came with."""
    if text and _is_overflow(answer, text):
        return ContextOverflow(url, status, text)
    if _FOREIGN_TEXT in text.lower():
        return NotOllama(url, text)
    return StreamCut(url, text, is_repetition=True) if _REPEATED_TEXT in text else None


def _is_overflow(answer: object, text: str) -> bool:
    if any(words in text for words in _OVERFLOW_TEXTS):
        return True
    return isinstance(answer, dict) and _OVERFLOW_TYPE in str(answer.get("error"))


def _foreign_status(url: str, status: int, headers: Mapping[str, str], body: bytes) -> OllamaError:
    """Return the error for a status without Ollama's ``{"error": …}``."""
    words = _plain(body, status)
    if any(hint in body.decode("utf-8", "replace").lower() for hint in _TLS_HINTS):
        return OllamaTLSError(url, "the server wants https")
    if 300 <= status < 400:
        target = _CREDENTIALS.sub("//", headers.get("Location", "").partition("?")[0])
        return OllamaStatusError(url, status, f"a redirect to {target}" if target else "a redirect to nowhere")
    if status == 404 or _is_page(body):
        return NotOllama(url, words)
    return OllamaStatusError(url, status, words)


def _plain(body: bytes, status: int) -> str:
    """Return a body that is not Ollama's in words: never HTML, never long; empty if there is none."""
    if _is_page(body):
        return f"HTTP {status} with a web page{_title(body)}"
    answer = _json_or_none(body)
    if answer is not None:  # without an error's text; Python's gateways call it detail
        detail = answer.get("detail") if isinstance(answer, dict) else None
        return detail[:300] if isinstance(detail, str) else ""
    return " ".join(body[:300].decode("utf-8", "replace").split())


def _is_page(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _title(body: bytes) -> str:
    found = _TITLE.search(body.decode("utf-8", "replace"))
    title = " ".join(found[1].split())[:80] if found else ""
    return f" titled “{title}”" if title else ""


def _broke_off(error: OSError) -> bool:
    """Return whether a connection was made and then closed: during TLS, if before a request."""
    return isinstance(error, ConnectionResetError | ConnectionAbortedError)


def _not_http(url: str, error: aiohttp.ClientResponseError) -> OllamaError:
    # A TLS server answers plain HTTP with an alert record: 15 03.
    if "\\x15\\x03" in error.message:
        return OllamaTLSError(url, "the server wants https")
    return NotOllama(url, "the answer is not HTTP")


def _signin_url(answer: object) -> str | None:
    value = answer.get("signin_url") if isinstance(answer, dict) else None
    # It is shown as a link: only a web address, and nothing that leaves one.
    return value if isinstance(value, str) and re.fullmatch(r"https://[!-;=?-_a-~]{1,500}", value) else None


def _seconds_until(value: str) -> float:
    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
    except (ValueError, OverflowError, TypeError):
        return math.nan


def _json_or_none(body: bytes) -> Any:
    try:
        return decode_json(body)
    except NDJSONError:
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.strerror:
        return error.os_error.strerror
    return str(error) or type(error).__name__
