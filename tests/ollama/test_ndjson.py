from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ollama.ndjson import NDJSONDecoder, NDJSONError, clean_text, decode_json

LINES = [
    '{"c": "a\u0085b\u2028c"}',
    '{"c": "🎉 😀"}',
    "",
    '  {"c": 1}\r',
    '{"c": ["\\ud83d"]}',
    '{"n": NaN}',
    "5",
    "[]",
    "{oops",
    '{"a":1}{"b":2}\r[]',
    '{"a":1}{"b',
    "{",
    '  "a": "} {[\\\\\\"",\r',
    '  "b": [{}, 5',
    "  ]",
    "}",
]


def outcome(raw: bytes, cuts: list[int], cap: int = 100) -> tuple[str, str | None]:
    """All values and the first error's text when *raw* arrives in pieces; repr, as NaN equals nothing."""
    decoder = NDJSONDecoder(cap)
    values: list[object] = []
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    try:
        for start, stop in pairwise(edges):
            values += decoder.feed(raw[start:stop])
        values += decoder.flush()
    except NDJSONError as error:
        return repr(values + error.objects), f"{error} {error.line!r}"
    return repr(values), None


@given(st.lists(st.sampled_from(LINES)), st.lists(st.integers(min_value=0, max_value=500)), st.booleans())
def test_any_chunking_gives_the_same_values_and_the_same_error(
    lines: list[str], cuts: list[int], newline: bool
) -> None:
    raw = "\n".join(lines).encode() + b"\n" * newline
    assert outcome(raw, cuts) == outcome(raw, [])


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0, max_value=300)))
def test_arbitrary_bytes_give_values_or_one_kind_of_error_however_they_are_cut(raw: bytes, cuts: list[int]) -> None:
    # The excerpt of a line over the cap may hold more or less of it.
    whole, cut = outcome(raw, [], 10_000), outcome(raw, cuts, 10_000)
    assert whole == cut


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers(-(2**60), 2**60) | st.none())), st.integers(1, 50))
def test_what_json_wrote_is_read_back_at_every_chunk_size(objects: list[dict[str, object]], size: int) -> None:
    raw = b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in objects)
    decoder = NDJSONDecoder()
    read = [value for i in range(0, len(raw), size) for value in decoder.feed(raw[i : i + size])]
    assert read + decoder.flush() == objects


@given(
    st.lists(
        st.tuples(st.dictionaries(st.text(), st.recursive(st.text() | st.integers(-9, 9), st.lists)), st.booleans())
    ),
    st.lists(st.integers(0, 1000)),
)
def test_objects_over_several_lines_are_read_among_others_however_they_are_cut(
    objects: list[tuple[dict[str, object], bool]], cuts: list[int]
) -> None:
    texts = [json.dumps(value, ensure_ascii=False, indent=2 if over_lines else None) for value, over_lines in objects]
    raw = "\n".join(texts).encode()
    assert outcome(raw, cuts, 100_000) == (repr([value for value, _ in objects]), None)


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"", []),
        (b"\n\r\n  \n", []),
        (b'\xef\xbb\xbf{"a":1}\r\n', [{"a": 1}]),
        (b'{"a":1}', [{"a": 1}]),
        (b'{"a":1}\n{"a":2}', [{"a": 1}, {"a": 2}]),
        (b'{"a":1}{"a":2} {"a":3}\r{"a":4}', [{"a": n} for n in (1, 2, 3, 4)]),
        (b'{"a":"x\xffy"}\n', [{"a": "x\ufffdy"}]),
        (b'{"a":"\\ud83d","\\udc00":["\\ud83d\\ude00"]}\n', [{"a": "\ufffd", "\ufffd": ["😀"]}]),
        (b'{"a":"\x0b\x0c\x1c\x00"}\n', [{"a": "\x0b\x0c\x1c\0"}]),
        (b'{"a":1e999,"b":-1e999}\n', [{"a": float("inf"), "b": float("-inf")}]),
        (b'{"a":' + b"9" * 5000 + b"}\n", [{"a": float("inf")}]),
        (b'{"a":1,"a":2}\n', [{"a": 2}]),
        ('{"a":"\u0085\u2028\u2029\x7f"}\n'.encode(), [{"a": "\u0085\u2028\u2029\x7f"}]),
    ],
)
def test_awkward_bytes_are_read(raw: bytes, values: list[object]) -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(raw) + decoder.flush() == values


def test_the_values_before_a_bad_line_are_kept() -> None:
    with pytest.raises(NDJSONError) as caught:
        NDJSONDecoder().feed(b'{"a":1}\n{"a":2}\n<html>\n{"a":3}\n')
    assert caught.value.objects == [{"a": 1}, {"a": 2}]
    assert caught.value.line == b"<html>"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_over_the_cap_is_an_error_and_one_of_just_the_cap_is_not(size: int) -> None:
    fits, too_long = b'"' + b"x" * 98 + b'"', b'"' + b"x" * 99 + b'"'
    raw = fits + b"\n" + too_long + b"\n"
    values, error = outcome(raw, list(range(0, len(raw), size)))
    assert values == repr(["x" * 98])
    assert error is not None
    assert "more than 100 bytes" in error


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_object_over_lines_has_the_same_cap(size: int) -> None:
    raw = b"{\n" + b'"a": 1,\n' * 1000
    values, error = outcome(raw, list(range(0, len(raw), size)), 1000)
    assert values == "[]"
    assert error is not None
    assert "more than 1000 bytes" in error


def test_half_a_line_at_the_end_is_an_error() -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(b'{"a":1}\n{"model":"m","mess') == [{"a": 1}]
    with pytest.raises(NDJSONError):
        decoder.flush()


def test_nesting_without_end_is_an_error_not_a_crash() -> None:
    with pytest.raises(NDJSONError):
        decode_json(b"[" * 200_000)


def test_a_long_line_in_small_pieces_takes_linear_time() -> None:
    def seconds(length: int) -> float:
        decoder, raw = NDJSONDecoder(), b'"' + b"x" * length + b'"\n'
        begin = time.process_time()
        for i in range(0, len(raw), 16):
            decoder.feed(raw[i : i + 16])
        return time.process_time() - begin

    short, long = min(seconds(200_000) for _ in range(3)), seconds(3_200_000)
    # 16 times as long; quadratic would be 256 times.
    assert long < short * 80


def test_clean_text_can_always_be_encoded() -> None:
    assert clean_text("a\ud83d b\udc00") == "a\ufffd b\ufffd"
    assert clean_text("😀é") == "😀é"
