"""Dagster's private parts: they are complete, changes are detected, and one module uses them.

``make test`` runs these tests with other versions of Dagster too, see `test_dagster_versions`.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dagster as dg
import pytest
from dagster_postgres import PostgresRunStorage

import tvdb_assets
from tvdb_assets.dagster import compat
from tvdb_assets.errors import ConfigurationError

PACKAGE = Path(tvdb_assets.__file__).parent
VERSION_UNDER_TEST = "DAGSTER_VERSION_UNDER_TEST"
"""Environment variable: the version to test, if it is not the locked one."""
_PRIVATE = re.compile(
    r"dagster(?:_postgres|_webserver|_graphql|_shared)?\._"  # a private module
    r"|\._(?:engine|connect|event_to_row|storage|run_storage|event_storage|event_log_storage"
    r"|schedule_storage|store_asset_event\w*|inst_data)\b"
    r"|get_step_execution_context|get_asset_backfill_data|asset_backfill_data"
    r"|SqlEventLogStorageTable|BulkActionStatus|NOT_FINISHED_STATUSES"
)


def test_dagster_has_the_version_that_is_to_be_tested() -> None:
    lock = (PACKAGE.parent / "requirements.lock").read_text("utf-8")
    locked = re.search(r"^dagster==(\S+)", lock, re.MULTILINE)
    assert locked is not None
    assert version("dagster") == dg.__version__ == os.environ.get(VERSION_UNDER_TEST, locked[1])


def test_this_version_of_dagster_has_all_parts() -> None:
    assert compat.problems() == []
    assert compat.slower() == {}
    assert compat.check() == frozenset()


def test_only_compat_uses_private_parts_of_dagster() -> None:
    uses = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for folder in ("dagster", "cli")
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        if path != Path(compat.__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if _PRIVATE.search(line)
    ]
    assert uses == []
    # Dagster itself is imported in these two folders and by the code location alone.
    imports = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ("dagster", "cli")
        and re.search(r"^\s*(?:import|from) dagster\b", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert imports == []


def test_a_part_that_is_missing_or_called_otherwise_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(compat.PartitionBackfill, "get_asset_backfill_data")
    monkeypatch.setattr(PostgresRunStorage, "get_run_ids", lambda self, filters, offset: [])
    with pytest.raises(ConfigurationError) as raised:
        compat.check()
    error = raised.value
    assert error.code == "dagster_incompatible"
    assert "PartitionBackfill.get_asset_backfill_data" in error.message
    assert "PostgresRunStorage.get_run_ids(filters, cursor, limit)" in error.message
    assert "dagster>=1.13.21,<1.14" in error.remedy
    assert "dagster-postgres>=0.29.21,<0.30" in error.remedy


def test_a_missing_optimization_is_reported_by_one_event(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("dagster._core.storage.event_log.SqlEventLogStorage._event_to_row")
    monkeypatch.setattr("tvdb_assets.telemetry.LOGGER.propagate", True)
    with caplog.at_level(logging.WARNING, "tvdb"):
        left = compat.check()
    [record] = caplog.records
    assert record.__dict__["tvdb_event"] == "dagster_fallback"
    assert "PostgresEventLogStorage._event_to_row" in record.getMessage()
    assert left == {"events in batches"}


def test_loading_ends_with_the_versions_that_work_if_a_module_of_dagster_is_gone() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c"),
            "import sys, dagster, dagster_postgres\n"
            "sys.modules['dagster._core.execution.asset_backfill'] = None\n"
            "import tvdb_assets.dagster.storage.instance_storage",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("tvdb_assets.errors.ConfigurationError: ")
    assert "asset_backfill" in last


def test_statuses_count_whatever_their_order() -> None:
    unfinished = [
        status
        for status in dg.DagsterRunStatus
        if status.value not in ("SUCCESS", "FAILURE", "CANCELED", "MANAGED")
    ]
    for order in itertools.islice(itertools.permutations(unfinished), 0, None, 100):
        assert compat.asks_for_unfinished_runs(dg.RunsFilter(statuses=list(order)))
    more = [dg.DagsterRunStatus.SUCCESS, *unfinished]
    assert compat.asks_for_unfinished_runs(dg.RunsFilter(statuses=more))
    for left_out in unfinished:
        fewer = [status for status in unfinished if status is not left_out]
        assert not compat.asks_for_unfinished_runs(dg.RunsFilter(statuses=fewer))
    assert not compat.asks_for_unfinished_runs(dg.RunsFilter())
    assert not compat.asks_for_unfinished_runs(None)
