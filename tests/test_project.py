"""The project's files agree with each other and with the code."""

from __future__ import annotations

import importlib.metadata
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.delivery.permissions import PERMISSIONS
from bot.settings.settings import ENV_FILE_KEY, Settings, load_settings
from bot.settings.values import TOKEN_PLACEHOLDER

ROOT = Path(__file__).parent.parent
TRY_IT = "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/burble playground"
TEST_IT = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest"
KEYS = {name.upper() for name in Settings.model_fields}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pyproject() -> dict[str, Any]:
    return tomllib.loads(read("pyproject.toml"))


def shown_default(name: str) -> str:
    """What a file shows as the default of *name*: nothing where it is unset."""
    value = Settings.model_fields[name.lower()].default
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def test_the_readme_begins_with_the_two_commands() -> None:
    blocks = re.findall(r"```sh\n(.*?)\n```", read("README.md"), re.DOTALL)
    assert blocks[:2] == [TRY_IT, TEST_IT]
    assert read("README.md").index(TEST_IT) < 1500


def test_ci_finds_the_readmes_test_command() -> None:
    pattern = re.search(r"sed -n \"s/(\^.*?\$)/", read(".ci/run").replace("\\$", "$"))
    assert pattern
    found = re.findall(pattern[1].replace("\\(", "(").replace("\\)", ")"), read("README.md"), re.MULTILINE)
    assert found == [TEST_IT]


def test_ci_is_executable_and_names_no_registry() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "://" not in read(".ci/run")


def test_every_setting_is_in_the_example_with_its_default_and_nothing_else() -> None:
    lines = re.findall(r"^(#?)([A-Z][A-Z_]+)=(.*)$", read(".env.example"), re.MULTILINE)
    shown = {key: value for _, key, value in lines}
    assert len(lines) == len(shown), "a key stands there twice"
    assert [key for mark, key, _ in lines if not mark] == ["DISCORD_TOKEN"], "the only one that must be set"
    assert shown.pop("DISCORD_TOKEN") == TOKEN_PLACEHOLDER
    assert shown == {key: shown_default(key) for key in KEYS - {"DISCORD_TOKEN"}}
    assert ENV_FILE_KEY in read(".env.example")


def test_the_example_with_every_line_switched_on_gives_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(re.sub(r"^#(?=[A-Z_]+=)", "", read(".env.example"), flags=re.MULTILINE))
    assert load_settings({}, file, ignore=["DISCORD_TOKEN"]) == Settings()


def test_every_example_in_an_error_is_a_good_value() -> None:
    examples = {name: (field.examples or [""])[0] for name, field in Settings.model_fields.items()}
    values = {name.upper(): example for name, example in examples.items() if "…" not in example}
    values.pop("DATABASE_URL")  # needs a driver that is not installed here
    assert load_settings(values, "").num_ctx == 8192


def test_the_readmes_tables_name_every_setting_with_its_default_and_every_option() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", read("README.md"), re.MULTILINE))
    assert set(rows) == KEYS
    for key, default in rows.items():
        if (told := re.fullmatch(r"`(.*)`", default)) is not None:
            assert told[1] == shown_default(key), key
        else:
            assert shown_default(key) == "", key


def test_the_readmes_permissions_are_the_ones_it_names() -> None:
    needed = discord.Permissions(PERMISSIONS.value)
    text = read("README.md")
    assert f"permissions={needed.value}\n" in text
    needed.manage_messages = True
    assert f"({needed.value} includes it)" in text


def test_the_version_is_one() -> None:
    try:
        installed = importlib.metadata.version("burble")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("run from a checkout that was never installed")
    assert installed == pyproject()["project"]["version"]


def test_ruff_is_pinned_to_the_same_version_everywhere() -> None:
    (pinned,) = [need for need in pyproject()["project"]["optional-dependencies"]["dev"] if need.startswith("ruff")]
    hooks = re.findall(r"ruff==[\d.]+", read(".pre-commit-config.yaml"))
    assert pinned.count("==") == 1
    assert set(hooks) == {pinned}


def test_every_dependency_is_bounded() -> None:
    for need in pyproject()["project"]["dependencies"]:
        assert re.search(r"<|==|regex", need), f"{need} may become anything"


def test_the_map_names_what_exists_and_all_of_it() -> None:
    told = set(re.findall(r"^\| `((?:bot|cogs|tests)/[\w./]*)`", read("CONTRIBUTING.md"), re.MULTILINE))
    rooms = {f"bot/{room.parent.name}/" for room in (ROOT / "bot").glob("*/__init__.py")}
    files = {f"bot/{file.name}" for file in (ROOT / "bot").glob("*.py") if file.name != "__init__.py"}
    assert told == rooms | files | {"cogs/", "tests/"}


def test_containers_stop_later_than_the_grace() -> None:
    grace = Settings.model_fields["shutdown_grace_seconds"].default
    for name, pattern in (("compose.yaml", r"stop_grace_period: (\d+)s"), ("README.md", r"TimeoutStopSec=(\d+)")):
        (seconds,) = re.findall(pattern, read(name))
        assert int(seconds) > grace + 2, name


def test_each_fault_in_the_readme_names_tests_that_exist() -> None:
    section = read("README.md").partition("## What fails, and what you see")[2].partition("\n## ")[0]
    _, _, *rows = re.findall(r"^\|.*\|$", section, re.MULTILINE)
    assert len(rows) > 55
    for row in rows:
        told = re.search(r"\| `(tests/[\w/]+|test_\w+)` · (`test_.*) \|$", row)
        assert told, f"no test: {row}"
        path = ROOT / f"{told[1] if told[1].startswith('tests/') else f'tests/whole/{told[1]}'}.py"
        for test in re.findall(r"`(test_\w+)`", told[2]):
            assert f"def {test}(" in path.read_text(), f"{path.name} has no {test}"
