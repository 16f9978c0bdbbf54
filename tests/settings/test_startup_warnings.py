"""What the start warns of: keys that are none, files that are not the owner's alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.settings.settings import Settings
from bot.settings.startup_warnings import doubtful_keys, shared_database, shared_env_file

KEYS = [name.upper() for name in Settings.model_fields]
needs_modes = pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such modes")


def doubts(tmp_path: Path, *keys: str) -> list[str]:
    file = tmp_path / "burble.env"
    file.write_text("".join(f"{key}=s3cret\n" for key in keys))
    return doubtful_keys({}, file)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("OLLAMA_MODLE", "OLLAMA_MODEL"),
        ("ollama_modle", "OLLAMA_MODEL"),
        ("DISCORD_TOKN", "DISCORD_TOKEN"),
        ("DISCORD_BOT_TOKEN", "DISCORD_TOKEN"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("NUM_CTXT", "NUM_CTX"),
        ("SYSTEMPROMPT", "SYSTEM_PROMPT"),
        ("IDLE_TIMEOUT", "IDLE_TIMEOUT_SECONDS"),
        ("SHUTDOWN_GRACE", "SHUTDOWN_GRACE_SECONDS"),
        ("BURBLE_NUM_CTX", "NUM_CTX"),
        ("BURBLE_DATA", "DATA_DIR"),
        ("BURBLE_DISCORD_TOKN", "DISCORD_TOKEN"),
    ],
)
def test_a_misspelt_key_is_told_with_the_one_that_was_meant(tmp_path: Path, key: str, meant: str) -> None:
    [doubt] = doubts(tmp_path, key)
    assert repr(key.upper()) in doubt
    assert f"did you mean {meant}?" in doubt
    assert "burble.env" in doubt
    assert "s3cret" not in doubt


def test_a_key_of_our_prefix_that_is_like_none_is_told_too(tmp_path: Path) -> None:
    [doubt] = doubts(tmp_path, "BURBLE_COLOUR")
    assert ".env.example" in doubt


@pytest.mark.parametrize(
    "key",
    ["TZ", "PATH", "COMPOSE_PROFILES", "POSTGRES_PASSWORD", "HOST", "TOKEN", "HTTP_PROXY", "OLLAMA_NUM_PARALLEL",
     "OLLAMA_MODELS", "OLLAMA_KEEP_ALIVE", "OLLAMA_ORIGINS", "OLLAMA_DEBUG", "BURBLE_ENV_FILE",
     "USER", "DATA", "LOG", "CHANNEL", *KEYS],
)  # fmt: skip
def test_keys_of_ours_and_of_others_are_not_doubted(tmp_path: Path, key: str) -> None:
    assert doubts(tmp_path, key) == []


def test_the_environment_is_not_looked_at(tmp_path: Path) -> None:
    assert doubtful_keys({"OLLAMA_MODLE": "x", "BURBLE_ENV_FILE": ""}) == []
    (tmp_path / "a.env").write_text("OLLAMA_MODLE=x\n")
    assert len(doubtful_keys({"BURBLE_ENV_FILE": str(tmp_path / "a.env")})) == 1


@given(st.binary(max_size=200))
def test_any_file_is_looked_through_on_one_line_for_each_doubt(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "doubtful.env"
    file.write_bytes(b"NUM_CTXX=1\n" + content)
    assert all(doubt.isprintable() for doubt in doubtful_keys({}, file))


@needs_modes
@pytest.mark.parametrize(
    ("mode", "is_told"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True), (0o602, True), (0o610, False)]
)
def test_settings_that_others_can_get_at_are_told(tmp_path: Path, mode: int, is_told: bool) -> None:
    file = tmp_path / "burble.env"
    file.touch()
    file.chmod(mode)
    told = shared_env_file({"BURBLE_ENV_FILE": str(file)})
    assert bool(told) is is_told
    assert all(f"chmod 600 {file}" in line for line in told)


def test_without_a_file_there_is_nothing_to_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shared_env_file({}) == []
    assert shared_env_file({"BURBLE_ENV_FILE": ""}) == []
    assert shared_database(None) == []
    assert shared_database(tmp_path / "none" / "burble.db") == []


@needs_modes
@pytest.mark.parametrize(
    ("folder", "file", "told"),
    [
        (0o700, 0o600, []),
        (0o700, 0o644, []),
        (0o755, 0o600, []),
        (0o755, 0o644, ["chmod 600"]),
        (0o750, 0o604, []),
        (0o750, 0o640, ["chmod 600"]),
        (0o777, 0o600, ["chmod 700"]),
        (0o1777, 0o600, []),
        (0o775, 0o660, ["chmod 600", "chmod 700"]),
    ],
)
def test_conversations_that_others_can_get_at_are_told(tmp_path: Path, folder: int, file: int, told: list[str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    names = ["burble.db", "burble.db-wal", "burble.db-shm"]
    for name in names:
        (data / name).touch()
        (data / name).chmod(file)
    data.chmod(folder)
    lines = shared_database(data / "burble.db")
    data.chmod(0o700)
    assert len(lines) == len(told)
    assert all(remedy in line for remedy, line in zip(told, lines, strict=True))
    if "chmod 600" in told:
        assert all(str(data / name) in lines[0] for name in names)
