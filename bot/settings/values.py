"""Clean and check one setting's value.

Each function takes what was written and returns what is meant, or raises
ValueError with the second half of a sentence whose first half is the key:
"is not an address". No message quotes the value: it may hold a secret.
"""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from bot.ollama.host import parse_host

if TYPE_CHECKING:
    from pathlib import Path

TOKEN_PLACEHOLDER: Final = "paste-your-bot-token-here"  # noqa: S105 - it is what .env.example shows instead of one
"""What ``.env.example`` holds where the token goes."""

_QUOTES = "\"'`“”‘’"
_API_PATH = "/api/v10"
_DURATION = re.compile(r"[-+]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_DURATION = 9_000_000_000.0  # seconds; Go counts nanoseconds in 63 bits


def clean_token(text: object) -> object:
    """Free a pasted token from what came along: quotes, white space, a leading ``Bot``."""
    if isinstance(text, SecretStr):
        text = text.get_secret_value()
    if not isinstance(text, str):
        return text
    token, before = text, None
    while token != before:
        before = token
        token = token.strip().strip(_QUOTES).strip()
        token = re.sub(r"^bot(?:\s+|$)", "", token, flags=re.IGNORECASE)
    if token == TOKEN_PLACEHOLDER:
        raise ValueError("still holds the placeholder of .env.example")
    if not token:
        raise ValueError("holds nothing but quotes or spaces")
    if not all("!" <= character <= "~" for character in token):
        raise ValueError("cannot be a bot token: it has spaces or foreign characters inside")
    if token.isdigit():
        raise ValueError("is an application ID, not the bot token")
    return token


def clean_key(text: object) -> object:
    """Free a pasted API key from quotes, white space and a leading ``Bearer``."""
    if isinstance(text, SecretStr):
        text = text.get_secret_value()
    if not isinstance(text, str):
        return text
    key = re.sub(r"^bearer\s+", "", text.strip().strip(_QUOTES).strip(), flags=re.IGNORECASE)
    if not key or not all("!" <= character <= "~" for character in key):
        raise ValueError("cannot be a key: it is empty or has spaces or foreign characters inside")
    return key


def parse_ollama_host(text: object) -> object:
    """Turn any form that Ollama's own clients take into a base URL."""
    if not isinstance(text, str):
        return text
    try:
        return parse_host(text)
    except ValueError as error:
        raise ValueError(f"is not an address: {error}") from None


def parse_api_url(text: str) -> str:
    """Check Discord's base URL; strip a trailing ``/``, add ``/api/v10`` if it has no path."""
    url = text.strip().strip(_QUOTES)
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host or re.search(r"[\s\x00-\x20\x7f\\]", url):
        raise ValueError("is not an http:// or https:// address")
    if parts.scheme not in {"http", "https"}:
        raise ValueError("does not begin with http:// or https://")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("has a user name, ? or # in it, which an API address has not")
    path = parts.path.rstrip("/") or _API_PATH
    return f"{parts.scheme}://{parts.netloc}{path}"


def parse_keep_alive(value: object) -> str | float | int:
    """Turn a bare number into seconds; leave a Go duration as it is (both as Ollama wants them)."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = repr(value)
    if not isinstance(value, str):
        raise ValueError("is not a duration")  # noqa: TRY004 - pydantic collects ValueErrors only
    text = value.strip()
    if re.fullmatch(r"[-+]?[0-9]{1,10}", text):
        return int(text)
    if re.fullmatch(r"[-+]?[0-9]{1,10}\.[0-9]*", text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError("is neither a number of seconds nor a duration with units")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > _LONGEST_DURATION:
        raise ValueError("is longer than Ollama can count (use -1 for “for ever”)")
    return text


def parse_switch(value: object) -> object:
    """Turn any usual way to say yes or no into ``on`` or ``off``."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, str):
        return value
    word = value.strip().strip(_QUOTES).lower()
    return {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}.get(word, word)


def parse_data_dir(path: Path) -> Path:
    """Expand ``~``; refuse what exists but is no directory."""
    if re.search(r"[\x00?]", str(path)):  # a ? would begin the options of the SQLite URL
        raise ValueError("is not a path")
    try:
        expanded = path.expanduser()
        is_other = expanded.exists() and not expanded.is_dir()
    except (OSError, RuntimeError):  # a name too long; a "~user" without a home
        raise ValueError("is not a path that can be used here") from None
    if is_other:
        raise ValueError("exists, but is not a directory")
    return expanded


def parse_database_url(text: object) -> object:
    """Give SQLite and PostgreSQL URLs their asynchronous drivers.

    SQLAlchemy is imported only for a URL that was set: the default needs no parsing.
    """
    if isinstance(text, SecretStr):
        text = text.get_secret_value()
    if not isinstance(text, str):
        return text
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - a third of a second that a plain start need not spend
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(text.strip().strip(_QUOTES))
    except (ArgumentError, ValueError):
        raise ValueError("is not a database URL") from None
    drivers = {
        "sqlite": "sqlite",
        "postgres": "postgresql+psycopg",
        "postgresql": "postgresql+psycopg",
        "postgresql+psycopg": "postgresql+psycopg",
    }
    driver = drivers.get(url.drivername)
    if driver is None:
        raise ValueError("is for a database or driver that is not supported")
    if driver.endswith("psycopg") and importlib.util.find_spec("psycopg") is None:
        raise ValueError("is for PostgreSQL, which needs its driver; run: .venv/bin/pip install '.[postgres]'")
    return url.set(drivername=driver).render_as_string(hide_password=False)


def parse_model(text: str) -> str:
    """Trim a model's name; Ollama's names have no white space."""
    name = text.strip().strip(_QUOTES).strip()
    if not name or len(name) > 400 or not name.isprintable() or re.search(r"\s", name):
        raise ValueError("is not a model's name")
    return name


def passwords_of(url: str) -> list[str]:
    """Return the passwords in *url* as they are written there: before the host, or among the parameters."""
    try:
        parts = urlsplit(url)
        return [each for each in (parts.password, *re.findall(r"(?:^|&)\w*password=([^&]+)", parts.query)) if each]
    except ValueError:  # brackets that are no IPv6 address
        return []


def lower(value: object) -> object:
    """Trim and lower a word; leave anything else to pydantic."""
    return value.strip().lower() if isinstance(value, str) else value


def upper(value: object) -> object:
    """Trim and raise a word; leave anything else to pydantic."""
    return value.strip().upper() if isinstance(value, str) else value
