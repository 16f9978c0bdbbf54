from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from bot.ollama.host import parse_host
from bot.ollama.names import canonical_name, same_model

# Ollama's own table (envconfig/config_test.go), made connectable, and its neighbours.
HOSTS = {
    None: "http://127.0.0.1:11434",
    "": "http://127.0.0.1:11434",
    "   ": "http://127.0.0.1:11434",
    "1.2.3.4": "http://1.2.3.4:11434",
    ":1234": "http://127.0.0.1:1234",
    "1.2.3.4:1234": "http://1.2.3.4:1234",
    "example.com": "http://example.com:11434",
    "example.com:1234": "http://example.com:1234",
    "example.com/": "http://example.com:11434",
    "1.2.3.4:": "http://1.2.3.4:11434",
    "http://[::1]:": "http://[::1]:80",
    "my_box.lan:65535": "http://my_box.lan:65535",
    "bücher.example": "http://bücher.example:11434",
    "[::1]": "http://[::1]:11434",
    "::1": "http://[::1]:11434",
    "[::1]:1337": "http://[::1]:1337",
    "http://[fe80::1]:1": "http://[fe80::1]:1",
    "[::]": "http://[::1]:11434",
    "::": "http://[::1]:11434",
    "0.0.0.0": "http://127.0.0.1:11434",
    "http://0.0.0.0:8080": "http://127.0.0.1:8080",
    " 1.2.3.4 ": "http://1.2.3.4:11434",
    '"1.2.3.4"': "http://1.2.3.4:11434",
    ' " 1.2.3.4 " ': "http://1.2.3.4:11434",
    "'1.2.3.4'": "http://1.2.3.4:11434",
    "http://1.2.3.4": "http://1.2.3.4:80",
    "HTTP://1.2.3.4": "http://1.2.3.4:80",
    "http://1.2.3.4:4321": "http://1.2.3.4:4321",
    "https://1.2.3.4": "https://1.2.3.4:443",
    "https://1.2.3.4:4321": "https://1.2.3.4:4321",
    "https://example.com/ollama": "https://example.com:443/ollama",
    "https://example.com/a/b//": "https://example.com:443/a/b",
    "example.com:11435/path": "http://example.com:11435/path",
    "ollama.com": "https://ollama.com:443",
    "https://ollama.com": "https://ollama.com:443",
    "http://user:pa%40ss@host": "http://user:pa%40ss@host:80",
    "user:pass@host:1": "http://user:pass@host:1",
}


BRACKETS = ("[bad", "[", "[]", "[::1", "[nonsense]:80", "[1.2.3.4]", "[::1]x", "[::1]]", "[[::1]]")
PORTS = ("0", "65536", "66000", "100000", "-1", "abc", "8o", "٣", "1.5")


@pytest.mark.parametrize(("text", "url"), HOSTS.items())
def test_a_host_is_read_as_ollamas_client_reads_it(text: str | None, url: str) -> None:
    assert parse_host(text) == url
    assert URL(url).port is not None


@pytest.mark.parametrize("url", HOSTS.values())
def test_reading_twice_changes_nothing(url: str) -> None:
    assert parse_host(url) == url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://host", "neither http nor https"),
        ("unix:///run/ollama.sock", "neither http nor https"),
        ("my host", "character"),
        ("http://host?x=1", "character"),
        ("http://host#x", "character"),
        ("http://a\nb", "character"),
        ("1:2:3:4:5:6:7:8:9", "IPv6"),
        *((f"{scheme}{host}", "brackets") for scheme in ("", "http://") for host in BRACKETS),
        *(
            (f"{scheme}{host}:{port}", "port")
            for scheme in ("", "https://")
            for host in ("h", "[::1]")
            for port in PORTS
        ),
        ("[12:34]", "IPv6"),
        ("::1]", "IPv6"),
        ("host]", "host is no name"),
        ("ho[st", "host is no name"),
        ("http://*", "host is no name"),
        ("http://a,b", "host is no name"),
        ("-", "host is no name"),
    ],
)
def test_what_cannot_be_a_server_is_refused_in_words(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_host(text)


@given(st.text(st.sampled_from("ab1:[]./@%-_*0"), max_size=15), st.sampled_from(["", "http://", "https://"]))
def test_whatever_is_written_names_a_server_or_a_mistake(text: str, scheme: str) -> None:
    try:
        url = parse_host(scheme + text)
    except ValueError as error:
        told = str(error)
        assert told.startswith("it")
    else:
        assert URL(url).host
        assert URL(url).port


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("llama3.2", "llama3.2:latest", True),
        ("Llama3.2", "llama3.2:latest", True),
        (" qwen3:8b ", "qwen3:8b", True),
        ("qwen3:8b", "qwen3", False),
        ("hf.co:443/a/b", "hf.co:443/a/b:latest", True),
    ],
)
def test_names_are_compared_as_ollama_compares_them(one: str, other: str, same: bool) -> None:
    assert same_model(one, other) is same


def test_no_name_stays_no_name() -> None:
    assert canonical_name(" ") == ""
