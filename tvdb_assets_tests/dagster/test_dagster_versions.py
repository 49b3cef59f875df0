"""The tests of Dagster's private parts, with the oldest and the newest version of Dagster.

The locked version is the one that all other tests use. The two others are installed without what
they depend on, each into a folder that stands before this environment on the path: a few seconds
and 25 MB each. The folders are kept for the next time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tvdb_assets.dagster.compat import DAGSTER_POSTGRES_VERSIONS, DAGSTER_VERSIONS
from tvdb_assets_tests.dagster.test_compat import VERSION_UNDER_TEST

ROOT = Path(__file__).parents[2]
FOLDERS = ROOT / ".dagster-versions"
TESTS = ("test_compat.py", "test_instance_storage.py", "test_home.py")


def pip(*arguments: str) -> str:
    """The output of pip; where it fails, the test does too, and says why."""
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(
            "The package registry could not be asked for another version of Dagster, so it is not "
            f"known whether this project works with it. pip {' '.join(arguments)}: {done.stderr}",
            pytrace=False,
        )
    return done.stdout


def newest() -> tuple[str, str]:
    """The newest versions of dagster and dagster-postgres within the bounds.

    The registry may have a version of dagster before it has the dagster-postgres that belongs to
    it. Then the newest of each are tested together.
    """
    wanted = [f"dagster{DAGSTER_VERSIONS}", f"dagster-postgres{DAGSTER_POSTGRES_VERSIONS}"]
    report = pip(
        *("install", "--dry-run", "--ignore-installed", "--no-deps", "--report", "-"), *wanted
    )
    found = {
        each["metadata"]["name"]: each["metadata"]["version"]
        for each in json.loads(report)["install"]
    }
    return found["dagster"], found["dagster-postgres"]


def oldest() -> tuple[str, str]:
    """The lower bounds."""
    lower = [v.split(",")[0] for v in (DAGSTER_VERSIONS, DAGSTER_POSTGRES_VERSIONS)]
    return lower[0].removeprefix(">="), lower[1].removeprefix(">=")


def folder_with(dagster: str, dagster_postgres: str) -> Path:
    """A folder with these versions, installed if it is not there yet."""
    python = f"py{sys.version_info.major}.{sys.version_info.minor}"
    folder = FOLDERS / f"dagster-{dagster}-postgres-{dagster_postgres}-{python}"
    if folder.exists():
        return folder
    FOLDERS.mkdir(exist_ok=True)
    # Renamed when it is complete, so that an interrupted test leaves no half of it.
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=FOLDERS))
    try:
        pip(
            *("install", "--no-deps", "--target", str(new)),
            *(f"{name}=={dagster}" for name in ("dagster", "dagster-shared", "dagster-pipes")),
            f"dagster-postgres=={dagster_postgres}",
        )
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


@pytest.mark.timeout(600)
@pytest.mark.parametrize("versions", [oldest, newest], ids=["oldest", "newest"])
def test_dagsters_private_parts_are_as_needed_in(versions: object) -> None:
    assert callable(versions)
    dagster, dagster_postgres = versions()
    if (dagster, dagster_postgres) == (version("dagster"), version("dagster-postgres")):
        return  # The tests of this run are with these versions.
    path = [str(folder_with(dagster, dagster_postgres)), str(ROOT)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            # Says that the two are not of one release, where that is what is tested.
            *("-W", "ignore:Found version mismatch"),
            *(str(Path(__file__).parent / name) for name in TESTS),
        ],
        env={
            # Without what a parallel run of the tests has set for its own processes.
            **{k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
            "PYTHONPATH": os.pathsep.join(path),
            VERSION_UNDER_TEST: dagster,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"dagster {dagster}:\n{done.stdout[-8_000:]}{done.stderr[-2_000:]}"
    assert "skipped" not in done.stdout


def test_the_bounds_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    bounds = {}
    for requirement in project["dependencies"]:
        if requirement.startswith("dagster"):
            name, operator, rest = requirement.partition(">=")
            # Versions that are left out in between are no bound.
            bounds[name] = operator + ",".join(rest.split(",")[:2])
    assert bounds == {
        "dagster": DAGSTER_VERSIONS,
        "dagster-webserver": DAGSTER_VERSIONS,
        "dagster-postgres": DAGSTER_POSTGRES_VERSIONS,
    }


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *(d for group in project["dependency-groups"].values() for d in group),
        *project["build-system"]["requires"],
    ]
    for optional in project["project"].get("optional-dependencies", {}).values():
        wanted += optional
    open_ended = [
        requirement
        for requirement in wanted
        if isinstance(requirement, str) and not (">=" in requirement and ",<" in requirement)
    ]
    assert open_ended == []
