"""What CI says of pip-audit's report: a hole fails it, a service that cannot be asked does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parent.parent / ".ci/audit.py"
SOUND = {"name": "yarl", "version": "1.2", "vulns": []}
SKIPPED = {"name": "aiohttp", "skip_reason": "Dependency not found on PyPI"}
HOLE = {"id": "PYSEC-2026-1", "fix_versions": ["2.1", "2.2"], "aliases": [], "description": "…"}
BROKEN = {"name": "orjson", "version": "2.0", "vulns": [HOLE, HOLE | {"id": "PYSEC-2026-2", "fix_versions": []}]}
OURS = {"name": "burble", "version": "0.1.0", "vulns": [HOLE]}


def judged(tmp_path: Path, report: str) -> tuple[int, str]:
    file = tmp_path / "report.json"
    file.write_text(report)
    done = subprocess.run([sys.executable, str(AUDIT), str(file)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([SOUND], 0, ["1 packages audited, no known vulnerabilities"]),
        ([SOUND, OURS], 0, ["1 packages audited, no known vulnerabilities"]),
        ([SOUND, SKIPPED], 0, ["1 packages audited", "NOT AUDITED", "aiohttp"]),
        ([SKIPPED, OURS], 0, ["NOT AUDITED: the service"]),
        ([], 0, ["NOT AUDITED: the service"]),
        ([SOUND, BROKEN], 1, ["2 known", "orjson 2.0: PYSEC-2026-1, mended in 2.1, 2.2", "in no release yet"]),
    ],
)
def test_a_report_is_told_as_it_is(tmp_path: Path, packages: list[dict[str, Any]], code: int, says: list[str]) -> None:
    returned, said = judged(tmp_path, json.dumps({"dependencies": packages, "fixes": []}))
    assert returned == code
    assert all(words in said for words in says)
    assert ("NOT AUDITED" in said) is any("NOT AUDITED" in words for words in says)


@pytest.mark.parametrize("report", ["", "ERROR:pip_audit: no route to host", "null"])
def test_without_a_report_nothing_is_claimed_and_nothing_fails(tmp_path: Path, report: str) -> None:
    assert judged(tmp_path, report) == (
        0,
        "NOT AUDITED: the service that knows vulnerabilities could not be asked about any package\n",
    )
