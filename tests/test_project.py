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
from bot.settings.env_file import ENV_FILE_KEY
from bot.settings.settings import Settings, load_settings
from bot.settings.values import TOKEN_PLACEHOLDER
from tests.cogs.test_definitions import NAMES

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


def test_the_docs_table_names_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", read("docs/settings.md"), re.MULTILINE))
    assert set(rows) == KEYS
    for key, default in rows.items():
        if (told := re.fullmatch(r"`(.*)`", default)) is not None:
            assert told[1] == shown_default(key), key
        else:
            assert shown_default(key) == "", key


def test_the_docs_permissions_are_the_ones_it_names() -> None:
    needed = discord.Permissions(PERMISSIONS.value)
    text = read("docs/hosting.md")
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
    cells = re.findall(r"^\| (`(?:bot|cogs|docs|tests)/[^|]*)\|", read("CONTRIBUTING.md"), re.MULTILINE)
    told = set(re.findall(r"`([\w./]*)`", " ".join(cells)))
    rooms = {f"bot/{room.parent.name}/" for room in (ROOT / "bot").glob("*/__init__.py")}
    files = {f"bot/{file.name}" for file in (ROOT / "bot").glob("*.py") if file.name != "__init__.py"}
    assert told == rooms | files | {"cogs/", "docs/", "tests/"}


def test_containers_stop_later_than_the_grace() -> None:
    grace = Settings.model_fields["shutdown_grace_seconds"].default
    for name, pattern in (("compose.yaml", r"stop_grace_period: (\d+)s"), ("docs/hosting.md", r"TimeoutStopSec=(\d+)")):
        (seconds,) = re.findall(pattern, read(name))
        assert int(seconds) > grace + 2, name


def rows_of(name: str) -> dict[str, str]:
    """The rows of a page's table of two columns."""
    _, _, *rows = re.findall(r"^\| (.*) \| (.*) \|$", read(name), re.MULTILINE)
    return dict(rows)


def test_each_fault_is_told_to_users_and_names_tests_that_exist() -> None:
    told, tested = rows_of("docs/faults.md"), rows_of("docs/fault-tests.md")
    assert list(told) == list(tested)
    assert len(told) > 55
    for fault, tests in tested.items():
        found = re.fullmatch(r"`(tests/[\w/]+|test_\w+)` · (`test_.*)", tests)
        assert found, f"no test: {fault}"
        path = ROOT / f"{found[1] if found[1].startswith('tests/') else f'tests/whole/{found[1]}'}.py"
        for test in re.findall(r"`(test_\w+)`", found[2]):
            assert f"def {test}(" in path.read_text(), f"{path.name} has no {test}"


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("name", PAGES)
def test_each_link_to_a_file_leads_to_one(name: str) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", read(name)):
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name}: {target}"
        headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings]


def test_every_page_of_the_docs_can_be_reached_from_the_readme() -> None:
    todo, seen = ["README.md"], set()
    while todo:
        name = todo.pop()
        if name not in seen and name.endswith(".md"):
            seen.add(name)
            links = re.findall(r"\]\((?!https?://)([^)#]+)", read(name))
            todo += [os.path.relpath((ROOT / name).parent / link, ROOT) for link in links]
    assert set(PAGES) <= seen


def test_the_readme_is_read_in_a_minute_and_shows_a_picture_that_is_soon_there() -> None:
    assert len(read("README.md").splitlines()) <= 150
    assert (ROOT / "docs/answer.webp").stat().st_size <= 2 * 2**20


@pytest.mark.parametrize("page", ["README.md", "docs/talking.md"])
def test_the_commands_in_the_docs_are_those_that_there_are(page: str) -> None:
    told = re.findall(r"^\| `/([a-z ]+)` \|", read(page), re.MULTILINE)
    assert sorted(told) == sorted(NAMES)


def test_the_readme_names_settings_that_exist() -> None:
    section = read("README.md").partition("## Settings")[2].partition("\n## ")[0]
    told = re.findall(r"^- `([A-Z_]+)`", section, re.MULTILINE)
    assert len(told) == 6
    assert set(told) <= KEYS
