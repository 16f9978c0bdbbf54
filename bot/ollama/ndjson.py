r"""Bytes to JSON objects, one per ``\n``-ended line: no socket, no loop.

Only the byte ``\n`` ends a line. ``str.splitlines`` and everything built on it
also cut at U+0085, U+2028 and their like, which Go's encoder leaves raw inside
strings, and so tear tokens apart.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_DEFAULT_CAP = 16 * 1024 * 1024
_EXCERPT_BYTES = 200
_BOM = b"\xef\xbb\xbf"
# No number of ours has more digits; Python refuses int() beyond 4300 of them.
_MAX_INT_DIGITS = 30
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class NDJSONError(ValueError):
    """A line that is not JSON, or one over the cap; the decoder is of no use after it.

    Attributes:
        objects: what the same call had completed before the bad line.
        line: the first 200 bytes of the bad line, to tell what it was instead.
    """

    def __init__(self, reason: str, line: bytes = b"") -> None:
        super().__init__(reason)
        self.objects: list[Any] = []
        self.line = line[:_EXCERPT_BYTES]


class NDJSONDecoder:
    r"""Turn byte chunks into JSON values, one per ``\n``-ended line.

    An object whose ``{`` stands on a line of its own may go on over several
    lines: servers that do not stream print theirs so.

    Any chunking of the same bytes gives the same values and the same error.
    Blank lines, CRLF, spaces and a byte order mark are tolerated; invalid UTF-8
    and lone surrogates become U+FFFD. The work is linear in the bytes fed,
    however small the pieces.

    Args:
        max_line_bytes: a longer line, its end not counted, is an error; an object over several lines, too.
    """

    def __init__(self, max_line_bytes: int = _DEFAULT_CAP) -> None:
        self._max = max_line_bytes
        self._tail = bytearray()
        self._printed = bytearray()  # an object over several lines, as far as it came
        self._depth = 0  # of its brackets

    def feed(self, data: bytes) -> list[Any]:
        """Return the value of every line that *data* completes.

        Raises:
            NDJSONError: for the first bad line; it carries the values before it.
        """
        first, *rest = data.split(b"\n")
        if not rest:
            self._keep(first, [])
            return []
        if self._tail:
            # bytearray grows in amortised constant time and is searched never.
            self._tail += first
            first = bytes(self._tail)
            self._tail.clear()
        tail = rest.pop()
        values: list[Any] = []
        for line in (first, *rest):
            self._decode(line, values)
        self._keep(tail, values)
        return values

    def flush(self) -> list[Any]:
        """Return the value of a last line without its newline, if there is one.

        Raises:
            NDJSONError: if the stream ended within a line.
        """
        values: list[Any] = []
        line = bytes(self._tail)
        self._tail.clear()
        self._decode(line, values)
        if self._depth:
            self._fail(NDJSONError("an object without an end", bytes(self._printed)), values)
        return values

    def _keep(self, tail: bytes, values: list[Any]) -> None:
        self._tail += tail
        if len(self._tail) > self._max:
            self._fail(self._too_long(bytes(self._tail[:_EXCERPT_BYTES])), values)

    def _decode(self, line: bytes, values: list[Any]) -> None:
        """Append the value of *line* to *values*, if it has one."""
        if self._depth:
            self._go_on(line, values)
            return
        if not line:
            return
        if len(line) > self._max:
            self._fail(self._too_long(line), values)
        try:
            values.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            words = line.removeprefix(_BOM).strip()
            if not words:
                return
            if words == b"{":
                self._printed[:], self._depth = words, 1
                return
            try:
                _decode_all(line, values)
            except NDJSONError as error:
                self._fail(error, values)

    def _go_on(self, line: bytes, values: list[Any]) -> None:
        """Take one more line of an object over several; append it to *values* once it is whole."""
        self._printed += b"\n" + line
        if len(self._printed) > self._max:
            self._fail(self._too_long(bytes(self._printed[:_EXCERPT_BYTES])), values)
        bare = _STRING.sub(b"", line)
        self._depth += sum(map(bare.count, (b"{", b"["))) - sum(map(bare.count, (b"}", b"]")))
        if self._depth > 0:
            return
        try:
            values.append(decode_json(bytes(self._printed)))
        except NDJSONError as error:
            self._fail(error, values)
        self._depth = 0

    def _too_long(self, line: bytes) -> NDJSONError:
        return NDJSONError(f"a line of more than {self._max} bytes", line)

    def _fail(self, error: NDJSONError, values: list[Any]) -> None:
        self._tail.clear()
        self._depth = 0
        error.objects = values
        raise error


def decode_json(data: bytes) -> Any:
    """Return the value of one JSON text, forgiving what servers and proxies do to text.

    Raises:
        NDJSONError: if it is no JSON, or nested too deeply.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    values: list[Any] = []
    _decode_all(data, values)
    if len(values) != 1:
        raise NDJSONError(f"not JSON: {len(values)} texts in place of one", data)
    return values[0]


def _decode_all(data: bytes, values: list[Any]) -> None:
    """Append to *values* the JSON texts of a line: proxies that lose line ends put several behind each other.

    Raises:
        NDJSONError: at the first that is none.
    """
    text = data.removeprefix(_BOM).decode("utf-8", "replace").strip()
    at = 0
    while at < len(text):
        try:
            value, at = _lenient.raw_decode(text, at)
            values.append(_without_surrogates(value))
        except (ValueError, RecursionError) as error:
            raise NDJSONError(f"not JSON: {error}", data) from None
        while at < len(text) and text[at].isspace():
            at += 1


def clean_text(text: str) -> str:
    r"""Return *text* with lone surrogates replaced by U+FFFD, so that it can be encoded.

    >>> clean_text("a\ud83d")
    'a�'
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _int_or_inf(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else float(digits)


# strict=False: control characters inside strings; it reads NaN and 1e999 too.
_lenient = json.JSONDecoder(strict=False, parse_int=_int_or_inf)
