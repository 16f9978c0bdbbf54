from __future__ import annotations

import pytest
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
    "1.2.3.4:66000": "http://1.2.3.4:11434",
    "1.2.3.4:-1": "http://1.2.3.4:11434",
    "1.2.3.4:abc": "http://1.2.3.4:11434",
    "https://1.2.3.4:x": "https://1.2.3.4:443",
    "1.2.3.4:0": "http://1.2.3.4:11434",
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
        ("[nonsense]:80", None),
    ],
)
def test_what_cannot_be_a_server_is_refused_in_words(text: str, reason: str | None) -> None:
    if reason is None:
        assert URL(parse_host(text)).host
        return
    with pytest.raises(ValueError, match=reason):
        parse_host(text)


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
