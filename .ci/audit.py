"""Say what a report of pip-audit means: `audit.py REPORT.json`; exit code 1 if a package has a known vulnerability.

pip-audit says "No known vulnerabilities found" also where its service knew none
of the packages, or was not reached. Here that counts as not audited, and is said.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OURS = "burble"  # installed from the checkout; whatever the service knows by that name is something else


def judge(report: Any) -> tuple[list[str], int]:
    """Return what to say about a report (None: there is none), and the exit code."""
    found = [each for each in (report or {}).get("dependencies", []) if each["name"].lower() != OURS]
    asked = [each for each in found if "skip_reason" not in each]
    unknown = [each["name"] for each in found if "skip_reason" in each]
    holes = [
        f"{each['name']} {each['version']}: {hole['id']}, "
        f"mended in {', '.join(hole['fix_versions']) or 'no release yet'}"
        for each in asked
        for hole in each["vulns"]
    ]
    lines = [f"{len(asked)} packages audited, {len(holes) or 'no'} known vulnerabilities", *holes]
    if not asked:
        lines = ["NOT AUDITED: the service that knows vulnerabilities could not be asked about any package"]
    elif unknown:
        lines.append(f"NOT AUDITED, unknown to the service: {', '.join(unknown)}")
    return lines, 1 if holes else 0


def read(path: Path) -> Any:
    """Return the report, or None if pip-audit left none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    said, code = judge(read(Path(sys.argv[1])))
    sys.stdout.write("\n".join([*said, ""]))
    sys.exit(code)
