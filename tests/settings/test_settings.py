"""The settings: defaults, every way to write them, and errors that name the key and keep the secret."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import SettingsError
from bot.ollama.host import parse_host
from bot.settings.settings import Settings, load_settings
from bot.settings.values import TOKEN_PLACEHOLDER

KEYS = [name.upper() for name in Settings.model_fields]
TOKEN = "MTE4.Gh_x9-.abcDEF0123456789"


def load(env_file: Path | str = "", **environ: str) -> Settings:
    return load_settings(environ, env_file)


def complaint(env_file: Path | str = "", **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(env_file, **environ)
    return str(caught.value)


def test_nothing_set_gives_the_documented_defaults() -> None:
    settings = load()
    assert settings.model_dump() == {
        "discord_token": None,
        "discord_api_url": "https://discord.com/api/v10",
        "ollama_host": "http://127.0.0.1:11434",
        "ollama_api_key": None,
        "ollama_model": None,
        "database_url": None,
        "data_dir": Path("data"),
        "log_level": "INFO",
        "system_prompt": None,
        "num_ctx": 8192,
        "keep_alive": None,
        "preload_model": "off",
        "resume_replies": "on",
        "max_concurrent_replies": 16,
        "user_prompts_per_minute": 10,
        "channel_prompts_per_minute": 30,
        "max_messages": 8,
        "render_markdown": "discord",
        "connect_timeout_seconds": 10,
        "first_byte_timeout_seconds": 900,
        "idle_timeout_seconds": 300,
        "shutdown_grace_seconds": 8,
    }
    assert settings.store_url == "sqlite:///data/burble.db"
    assert settings.ollama_host == parse_host(None)


@pytest.mark.parametrize(
    "written",
    [
        TOKEN,
        f'"{TOKEN}"',
        f"'{TOKEN}'",
        f"  {TOKEN}\r\n",
        f"Bot {TOKEN}",
        f"bot  {TOKEN} ",
        f'" Bot {TOKEN}\n"',
        f'Bot "{TOKEN}"',
        f"“{TOKEN}”",
        f"`{TOKEN}`",
    ],
)
def test_a_token_works_however_it_was_pasted(written: str) -> None:
    settings = load(DISCORD_TOKEN=written)
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == TOKEN


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("two words", "spaces"),
        (f"{TOKEN} {TOKEN}", "spaces"),
        ("tokén", "foreign characters"),
        ('""', "nothing but quotes"),
        ("Bot ", "nothing but quotes"),
        (TOKEN_PLACEHOLDER, "placeholder"),
        ("118480029384756234", "application ID"),
    ],
)
def test_a_token_that_cannot_be_one_is_refused(written: str, reason: str) -> None:
    message = complaint(DISCORD_TOKEN=written)
    assert message.startswith("DISCORD_TOKEN ")
    assert reason in message


def test_only_a_run_needs_a_token() -> None:
    assert load().discord_token is None
    with pytest.raises(SettingsError, match=r"DISCORD_TOKEN is not set.*Example: DISCORD_TOKEN="):
        load_settings({}, "", require_token=True)
    with pytest.raises(SettingsError) as caught:
        load_settings({"DISCORD_TOKEN": "a b"}, "", require_token=True)
    assert str(caught.value).count("DISCORD_TOKEN ") == 1, "wrong, so not missing as well"


def test_a_missing_token_comes_behind_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"NUM_CTX": "lots"}, tmp_path, require_token=True)
    first, second, third = str(caught.value).splitlines()
    assert "cannot be read" in first
    assert second.startswith("DISCORD_TOKEN is not set")
    assert third.startswith("NUM_CTX ")


def test_who_has_no_file_yet_is_told_where_it_would_stand(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, tmp_path / ".env", require_token=True)
    assert f"There is no .env in {tmp_path}: copy .env.example to it" in str(caught.value)
    (tmp_path / ".env").write_text("NUM_CTX=512")
    with pytest.raises(SettingsError) as caught:
        load_settings({}, tmp_path / ".env", require_token=True)
    assert "There is no" not in str(caught.value)


def test_an_ignored_key_may_hold_anything() -> None:
    settings = load_settings({"DISCORD_TOKEN": "a b", "NUM_CTX": "512"}, "", ignore=["DISCORD_TOKEN"])
    assert (settings.discord_token, settings.num_ctx) == (None, 512)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://discord.com", "https://discord.com/api/v10"),
        ("https://discord.com/", "https://discord.com/api/v10"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v10"),
        ("http://proxy/discord/v10/", "http://proxy/discord/v10"),
        ("http://[::1]:80/api/v9", "http://[::1]:80/api/v9"),
        (' "https://discord.com/api/v10" ', "https://discord.com/api/v10"),
    ],
)
def test_the_api_url_gets_its_path(written: str, url: str) -> None:
    assert load(DISCORD_API_URL=written).discord_api_url == url


@pytest.mark.parametrize(
    "written",
    ["discord.com", "ftp://discord.com", "https://", "http://[::1", "http://h:99999", "http://h/a?b=1", "http://h h/",
     "http://user:pass@proxy/"],
)  # fmt: skip
def test_an_api_url_that_is_none_is_refused(written: str) -> None:
    assert complaint(DISCORD_API_URL=written).startswith("DISCORD_API_URL ")


@pytest.mark.parametrize("written", ["gpu-box", "gpu-box:8080", "https://ollama.example.com/x", "0.0.0.0", "[::1]:80"])
def test_ollama_host_takes_what_ollama_takes(written: str) -> None:
    assert load(OLLAMA_HOST=written).ollama_host == parse_host(written)


def test_a_password_in_a_bad_ollama_host_is_not_told() -> None:
    message = complaint(OLLAMA_HOST="ftp://me:hunter2@gpu-box")
    assert message.startswith("OLLAMA_HOST is not an address: its scheme is neither http nor https. ")
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5m", "5m"),
        ("1h30m", "1h30m"),
        ("1.5h", "1.5h"),
        ("-1", -1),
        ("300", 300),
        ("0", 0),
        ("2.5", 2.5),
        ("-1s", "-1s"),
        ("500ms", "500ms"),
        ("10µs", "10µs"),
    ],
)
def test_keep_alive_is_seconds_or_a_go_duration(written: str, meant: object) -> None:
    value = load(KEEP_ALIVE=written).keep_alive
    assert (value, type(value)) == (meant, type(meant))


@pytest.mark.parametrize(
    "written", ["5 m", "forever", "5d", "m", "--1", "1e3", "5m3", "nan", "99999999999h", "٣m", "-"]
)
def test_keep_alive_that_ollama_would_refuse_is_refused_here(written: str) -> None:
    message = complaint(KEEP_ALIVE=written)
    assert message.startswith("KEEP_ALIVE is ")
    assert "Example: KEEP_ALIVE=30m" in message


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("sqlite:///here.db", "sqlite:///here.db"),
        ("postgresql://u:p%40ss@h/db", "postgresql+psycopg://u:p%40ss@h/db"),
        ("postgres://u@h:5432/db", "postgresql+psycopg://u@h:5432/db"),
    ],
)
def test_a_database_url_gets_its_driver(monkeypatch: pytest.MonkeyPatch, written: str, url: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert load(DATABASE_URL=written).store_url == url


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    message = complaint(DATABASE_URL="postgresql://me:hunter2@h/db")
    assert ".venv/bin/pip install '.[postgres]'" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "written", ["burble.db", "mysql://u:p@h/db", "postgresql+psycopg2://h/db", "sqlite", "a://b:c:d"]
)
def test_a_database_that_we_cannot_use_is_refused(written: str) -> None:
    assert complaint(DATABASE_URL=written).startswith("DATABASE_URL is ")


def test_the_store_lives_in_the_data_directory(tmp_path: Path) -> None:
    assert load(DATA_DIR=str(tmp_path)).store_url == f"sqlite:///{tmp_path}/burble.db"
    assert load(DATA_DIR="~/burble").data_dir == Path.home() / "burble"


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "exists, but is not a directory" in complaint(DATA_DIR=str(tmp_path / "data"))
    assert complaint(DATA_DIR="~nobody-of-this-name/x").startswith("DATA_DIR is not a path")


@pytest.mark.parametrize(
    ("key", "written", "reason"),
    [
        ("NUM_CTX", "511", "is below 512"),
        ("NUM_CTX", "8k", "is not a whole number"),
        ("NUM_CTX", "8192.5", "is not a whole number"),
        ("NUM_CTX", "9" * 5000, "is far too large"),
        ("MAX_CONCURRENT_REPLIES", "0", "is below 1"),
        ("USER_PROMPTS_PER_MINUTE", "-1", "is below 0"),
        ("CHANNEL_PROMPTS_PER_MINUTE", "many", "is not a whole number"),
        ("MAX_MESSAGES", "51", "is above 50"),
        ("CONNECT_TIMEOUT_SECONDS", "0", "is not above 0"),
        ("FIRST_BYTE_TIMEOUT_SECONDS", "604801", "is above 604,800"),
        ("IDLE_TIMEOUT_SECONDS", "inf", "is not a finite number"),
        ("SHUTDOWN_GRACE_SECONDS", "-1", "is below 0"),
        ("SHUTDOWN_GRACE_SECONDS", "8s", "is not a number"),
        ("RENDER_MARKDOWN", "html", "is not one of its values"),
        ("LOG_LEVEL", "verbose", "is not one of its values"),
        ("OLLAMA_MODEL", "my model", "is not a model's name"),
        ("OLLAMA_API_KEY", "a key", "cannot be a key"),
    ],
)
def test_a_wrong_value_is_named_explained_and_shown_right(key: str, written: str, reason: str) -> None:
    line = complaint(**{key: written})
    assert line.startswith(f"{key} {reason}")
    assert f"Example: {key}=" in line


def test_words_may_be_written_in_any_case() -> None:
    settings = load(LOG_LEVEL=" debug ", RENDER_MARKDOWN="RAW", SHUTDOWN_GRACE_SECONDS="0", OLLAMA_API_KEY="Bearer k-1")
    assert (settings.log_level, settings.render_markdown, settings.shutdown_grace_seconds) == ("DEBUG", "raw", 0)
    assert settings.ollama_api_key is not None
    assert settings.ollama_api_key.get_secret_value() == "k-1"


def test_all_errors_come_at_once() -> None:
    lines = complaint(NUM_CTX="x", LOG_LEVEL="x", KEEP_ALIVE="x", DISCORD_TOKEN="x y").splitlines()
    assert [line.split()[0] for line in lines] == ["DISCORD_TOKEN", "LOG_LEVEL", "NUM_CTX", "KEEP_ALIVE"]


def test_the_environment_wins_over_the_file_but_not_with_an_empty_value(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("\ufeffNUM_CTX=1024\nMAX_MESSAGES=3\nFOREIGN=1\n", encoding="utf-8")
    settings = load(file, NUM_CTX="2048", MAX_MESSAGES="  ", LOG_LEVEL="")
    assert (settings.num_ctx, settings.max_messages, settings.log_level) == (2048, 3, "INFO")


LINES = "NUM_CTX=1024\nSYSTEM_PROMPT=Sag é und 你好\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xff\xfe"], ids=["bare", "marked"])
@pytest.mark.parametrize(
    "before", [b"", b"\xef\xbb\xbf", LINES.encode(), b"\xef\xbb\xbf" + LINES.encode(), LINES.encode()[:-1], b"\n"]
)
@pytest.mark.parametrize("after", ["", "KEEP_ALIVE=5m\n"])
def test_what_powershell_appends_is_read(tmp_path: Path, before: bytes, mark: bytes, after: str, end: str) -> None:
    file = tmp_path / ".env"
    appended = "OLLAMA_HOST=ollama\nMAX_MESSAGES=3\nOLLAMA_MODEL=né你好\n".replace("\n", end)
    file.write_bytes(before + mark + appended.encode("utf-16-le") + after.encode())
    settings = load(file)
    assert (settings.ollama_host, settings.max_messages) == ("http://ollama:11434", 3)
    assert settings.ollama_model == "né你好"
    assert settings.num_ctx == (1024 if b"NUM" in before else 8192)
    assert settings.system_prompt == ("Sag é und 你好" if b"NUM" in before else None)
    assert settings.keep_alive == ("5m" if after else None)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_read(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes((b"\xfe\xff" if encoding.endswith("be") else b"") + LINES.encode(encoding))
    assert (load(file).num_ctx, load(file).system_prompt) == (1024, "Sag é und 你好")


@pytest.mark.parametrize(
    "content", [b"NUM_CTX=1024\n\xe9=1\n", b"NUM_CTX=10\0", b"A=b\0\0\0", b"NUM_CTX=1024\nB\0=\0\x00\xd8\n\0", b"\0"]
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    assert complaint(file) == "The file .env is not UTF-8 text; save it again with that encoding."


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "burble.env"
    file.write_text(
        f"""# comment\nexport DISCORD_TOKEN='{TOKEN}'\nOLLAMA_MODEL=llama3.2:3b # note\nNUM_CTX=\n"""
        'SYSTEM_PROMPT="Costs ${5}.\nSay \\"yes\\"."\n'
    )
    settings = load_settings({"BURBLE_ENV_FILE": str(file)})
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == TOKEN
    assert settings.ollama_model == "llama3.2:3b"
    assert settings.system_prompt == 'Costs ${5}.\nSay "yes".'
    assert settings.num_ctx == 8192


def test_dot_env_in_the_working_directory_is_read_unless_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).num_ctx == 8192, "no file is no error"
    Path(".env").write_text("NUM_CTX=1024\n")
    assert load_settings({}).num_ctx == 1024
    assert load_settings({"BURBLE_ENV_FILE": ""}).num_ctx == 8192


def test_a_file_that_cannot_be_read_is_an_error_among_the_others(tmp_path: Path) -> None:
    named = str(tmp_path / "absent.env")
    assert complaint(BURBLE_ENV_FILE=named, env_file=named).startswith("BURBLE_ENV_FILE: there is no file")
    assert "cannot be read" in complaint(tmp_path)
    binary = tmp_path / "latin.env"
    binary.write_bytes(b"SYSTEM_PROMPT=caf\xe9\n")
    assert "is not UTF-8" in complaint(binary)
    broken = tmp_path / "broken.env"
    for quote in "\"'":
        broken.write_text(f"NUM_CTX=x\nDISCORD_TOKEN={quote}{TOKEN}\n")
        lines = complaint(broken).splitlines()
        assert lines[0] == f"Line 2 of broken.env cannot be read: a quote ({quote}) is opened and not closed."
        assert lines[1].startswith("NUM_CTX ")
        assert TOKEN not in "".join(lines)


def test_secrets_are_masked_and_known_to_the_log() -> None:
    settings = load(
        DISCORD_TOKEN=TOKEN,
        OLLAMA_API_KEY="key-0123456789",
        OLLAMA_HOST="https://me:proxy%21pass@gpu-box",
        DATABASE_URL="sqlite:///x.db",
    )
    shown = repr(settings) + str(settings) + str(settings.model_dump())
    assert TOKEN not in shown
    assert "key-0123456789" not in shown
    assert "proxy" not in repr(settings)
    assert set(settings.secrets) == {TOKEN, "key-0123456789", "proxy%21pass", "proxy!pass"}
    shown = load(DATABASE_URL="postgresql://ada:s3cret@h/db?password=hunter%402&sslpassword=key&connect_timeout=9")
    assert set(shown.secrets) == {"s3cret", "hunter%402", "hunter@2", "key"}


# What an environment can hold (no NUL), lone surrogates included: os.environ decodes with surrogateescape.
garbage = st.text(st.characters(exclude_characters="\0"), max_size=60) | st.sampled_from(
    ["http://", "http://[", "::", "Bot Bot", "sqlite://", "postgresql://a:b@[/", "1" * 5000, "1e400", "-0", "٣",
     "\udcff", "{error}", "%s", "~", "~root/x", "/" + "x" * 5000, "true", "null", "[]", '{"a":1}', "0x10", "1_0", "."]
)  # fmt: skip


def message_for(values: dict[str, str], env_file: Path | str = "") -> str | None:
    try:
        load_settings(values, env_file)
    except SettingsError as error:
        return str(error)
    return None


@given(st.dictionaries(st.sampled_from(KEYS), garbage, min_size=1))
def test_garbage_never_gives_anything_but_settings_or_lines_that_name_its_keys(values: dict[str, str]) -> None:
    message = message_for(values)
    if message is not None:
        named = [line.split()[0] for line in message.split("\n")]
        assert named
        assert set(named) <= set(values)
        assert len(named) == len(set(named))


@given(st.sampled_from(KEYS), st.text("abcXYZ:/@?&é ", min_size=3, max_size=20))
def test_no_message_quotes_what_was_written(key: str, filler: str) -> None:
    assert "s3cr" not in (message_for({key: f"s3cr{filler}et"}) or "")


@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "garbage.env"
    file.write_bytes(content)
    assert message_for({}, file) != ""


def test_reading_the_settings_loads_no_heavy_library() -> None:
    code = (
        "import sys; from bot.settings.settings import load_settings; load_settings({}, '');"
        "print(sorted({'discord', 'aiohttp', 'sqlalchemy', 'alembic', 'pydantic_settings'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"
