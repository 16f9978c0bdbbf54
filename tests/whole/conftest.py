"""Which database the bot of a test has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.whole import stack


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked so on PostgreSQL, too."""
    if metafunc.definition.get_closest_marker("both_databases"):
        kinds = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
        metafunc.parametrize("_database", kinds, indirect=True)


@pytest.fixture(autouse=True)
def _database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if getattr(request, "param", "sqlite") == "sqlite":
        yield
        return
    with request.getfixturevalue("postgresql").database() as url:
        monkeypatch.setitem(stack.SETTINGS, "database_url", url)
        yield
