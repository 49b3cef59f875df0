"""An unexpected error in a run: its type, its lines and an id are logged, but not its text."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.document_assets import document_assets
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.ingestion.parse_stage import ParseStage
from tvdb_assets.models import SourceFile
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry

CANARY = "canary-of-a-quoted-text"

pytestmark = pytest.mark.filterwarnings(
    "ignore:The `__fields__` attribute is deprecated",
    "ignore:.*default_executor",
)


def test_the_text_of_an_unexpected_exception_is_not_in_dagsters_log(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail_unexpectedly(*_: object) -> None:
        raise ValueError(f"can't make a number of {CANARY}")

    monkeypatch.setenv("TVDB_DATABASE_URL", database.url)
    monkeypatch.setenv("TVDB_SOURCE", str(tmp_path))
    monkeypatch.setattr(ParseStage, "begin", fail_unexpectedly)
    DocumentRegistry(database).register(str(tmp_path), [SourceFile("a.md", 1, "x")], "by hand")
    router = ServiceRouterResource(mode=None, parser_mode=None, embedder_mode=None)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("documents", ["a.md"])
        result = dg.materialize(
            [document_assets(10, DefinitionNames())],
            instance=instance,
            resources={"service_router": router, "tvdb_io_manager": dg.mem_io_manager},
            partition_key="a.md",
            raise_on_error=False,
        )
        log = [
            str(record.event_log_entry)
            for record in instance.get_records_for_run(result.run_id).records
        ]
    text = "\n".join(log)
    assert not result.success
    assert CANARY not in text
    assert "[unexpected]" in text
    assert f"(id {result.run_id})" in text
    assert "ValueError at dagster/test_unexpected_errors.py:" in text
