"""Checks that a release tag agrees with the package and the changelog.

What belongs here: comparisons that need nothing but the repository and Python's own library, so
that they run before anything is installed. What does not: building or publishing.

    python -m tools.release_check v1.2.0
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def problems_of(tag: str, pyproject: str, changelog: str) -> list[str]:
    """What prevents the release of `tag`; empty if nothing does.

    Args:
        tag: such as ``v1.2.0``.
        pyproject: text of ``pyproject.toml``.
        changelog: text of ``CHANGELOG.md``.
    """
    version = tomllib.loads(pyproject)["project"]["version"]
    problems = []
    if tag != f"v{version}":
        problems.append(f"The tag is {tag}, and pyproject.toml has the version {version}.")
    heading = re.search(rf"^## {re.escape(version)} \((.+)\)$", changelog, re.MULTILINE)
    if heading is None:
        problems.append(f"CHANGELOG.md has no section '## {version} (YYYY-MM-DD)'.")
    elif not re.fullmatch(r"\d{4}-\d{2}-\d{2}", heading[1]):
        problems.append(f"CHANGELOG.md dates the version {version} '{heading[1]}'.")
    return problems


def main() -> int:
    """Print the problems; 1 if there are any."""
    if len(sys.argv) != 2:
        print("usage: python -m tools.release_check TAG", file=sys.stderr)
        return 2
    problems = problems_of(
        sys.argv[1],
        (_ROOT / "pyproject.toml").read_text(encoding="utf-8"),
        (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    )
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
