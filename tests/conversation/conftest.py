from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.conversation.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The SQLite file, for a test whose subject that is."""
    return tmp_path / "data" / "burble.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, path: Path) -> Iterator[str]:
    """A new database: each test that takes it runs on every kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{path}"
        return
    with request.getfixturevalue("postgresql").database() as address:
        yield address


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with Store.open(url) as opened:
        yield opened
