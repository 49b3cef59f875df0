"""Batch jobs in Dagster: the night begins them, sensors end them and publish their documents."""

from __future__ import annotations

import pytest

from tvdb_assets_tests.dagster.project import TEXTS, Project
from tvdb_assets_tests.paid_apis import Behaviour, running_server

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


def test_the_night_uses_batch_jobs_whose_documents_the_sensors_publish(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(Behaviour(batch_seconds=0.0)) as server:
        monkeypatch.setenv("TVDB_EMBEDDER_MODE", "real")
        monkeypatch.setenv("TVDB_BATCH", "auto")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setattr("tvdb_assets.embedding.providers.openai_batches._HOST", "127.0.0.1")
        assert len(project.tick()) == 1
        with project.database.transaction() as tx:
            tx.execute("UPDATE tvdb.documents SET run_requested_at = NULL")

        project.run(project.catch_up_tick())

        assert project.searchable() == set()
        with project.database.transaction() as tx:
            [(job_id, message)] = tx.execute(
                "SELECT DISTINCT job_id::text, error_message FROM tvdb.documents,"
                " tvdb.embedding_batches WHERE documents.status = 'deferred'"
            ).fetchall()
        assert job_id in message
        assert not project.daemon_tick("cost_sensor").run_requests, "nothing to resume yet"

        assert project.daemon_tick("batch_sensor").skip_message == "There is no batch job."

        requests = project.daemon_tick("cost_sensor").run_requests
        assert requests is not None
        project.run(requests)
        assert project.searchable() == set(TEXTS)
        assert project.materialized() == set(TEXTS)
        assert len(server.apis.batches) == 1
        assert not [r for r in server.apis.requests if r.operation == "embeddings"]
        # Somebody may wait for a document that is new.
        project.write("new.md", "# New\n\nThe matter of a new series is open.\n")
        project.run(project.tick())
        assert "new.md" in project.searchable()
        assert len(server.apis.batches) == 1
