"""Ten kills at random moments; `python -m tests.kills` does two hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills.killing import KillRun


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_ten_kills_lose_freeze_and_double_nothing(tmp_path: Path):
    result = await KillRun(tmp_path, seed=20).play(10)
    assert result.problems == []
    assert " 0 answered" not in result.summary, result.summary
