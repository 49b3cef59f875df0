"""One document in `real` mode with retries and a halved batch: its history, found by any id.

A real ingest in a separate process, the simulated paid APIs, and `tvdb trace` as an
operator calls it. The history is compared with the log of the simulated APIs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner

from tvdb_assets.cli import tvdb
from tvdb_assets.correlation import new_run_id, span_id
from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.models import Stage
from tvdb_assets.settings import load_settings
from tvdb_assets.telemetry import EVENTS
from tvdb_assets_tests.otlp_collector import Collector, running_collector
from tvdb_assets_tests.paid_apis import Behaviour, RunningServer, running_server

DOCUMENT = "handbook/leave.html"
PAGE = "<!doctype html><h1>Leave</h1>" + "".join(
    f"<h2>Part {n}</h2><p>{f'Employee number {n} has {n + 20} days of vacation. ' * 8}</p>"
    for n in range(6)
)


@dataclass
class Scene:
    """A project, its server of paid APIs, and the output of an ingest."""

    folder: Path
    database_url: str
    server: RunningServer
    collector: Collector
    run_ids: list[str] = field(default_factory=list)
    stderr: str = ""
    """The stderr of the ingest."""

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("TVDB_", "DAGSTER", "OTEL"))
        }
        return subprocess.run(
            [str(Path(sys.executable).parent / "tvdb"), *arguments],
            cwd=self.folder,
            env=inherited
            | {
                "DAGSTER_HOME": str(self.folder / "home"),
                "TVDB_SOURCE": str(self.folder / "documents"),
                "TVDB_DATABASE_URL": self.database_url,
                "TVDB_SERVICE_MODE": "real",
                "TVDB_PARSE_WORKERS": "1",
                "TVDB_CHUNK_TOKENS": "64",
                "TVDB_CHUNK_OVERLAP_TOKENS": "0",
                "OPENAI_API_KEY": "sk-of-the-test",
                "OPENAI_BASE_URL": f"{self.server.url}/v1",
                "LLAMA_CLOUD_API_KEY": "llx-of-the-test",
                "LLAMA_CLOUD_BASE_URL": self.server.url,
                **settings,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def trace(self, name: str) -> dict[str, Any]:
        """Call `tvdb trace` in this process, because starting another takes seconds."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", str(self.folder / "home"))
            patch.setenv("TVDB_DATABASE_URL", self.database_url)
            done = CliRunner().invoke(tvdb, ["trace", name, "--json"])
        assert done.exit_code == 0, (done.output, done.exception)
        reported = json.loads(done.stdout)
        assert isinstance(reported, dict)
        return reported


@pytest.fixture(scope="module")
def scene(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("traced")
    (folder / "home").mkdir()
    (folder / "documents" / "handbook").mkdir(parents=True)
    (folder / "documents" / DOCUMENT).write_text(PAGE)
    url = server_url.replace("/tvdb?", "/traced?")
    with (
        running_server(Behaviour(job_seconds=0.6)) as server,
        running_collector() as collector,
        psycopg.connect(server_url, autocommit=True) as connection,
    ):
        faults = server.apis.faults
        faults.script("server_error", operation="submit")
        faults.script("server_error")
        faults.script("refused_text")
        connection.execute("CREATE DATABASE traced")
        try:
            made = Scene(folder, url, server, collector)
            done = made.run(
                *("ingest", "--json"),
                OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
                OTEL_SERVICE_NAME="of-the-test",
                TVDB_LOG_FORMAT="json",
            )
            made.stderr = done.stderr
            assert done.returncode == 0, done.stdout + done.stderr
            made.run_ids = json.loads(done.stdout)["run_ids"]
            yield made
        finally:
            connection.execute("DROP DATABASE traced WITH (FORCE)")


@pytest.fixture(scope="module")
def run_history(scene: Scene) -> dict[str, Any]:
    return scene.trace(scene.run_ids[0])


def test_the_history_has_every_request_of_the_servers_log_and_no_other(
    scene: Scene, run_history: dict[str, Any]
) -> None:
    logged = {(r.client_request_id, r.request_id) for r in scene.server.apis.requests}
    sent = [e for e in run_history["events"] if e["kind"] in ("paid_call", "request")]
    assert {(e["client_request_id"], e["request_id"]) for e in sent} == logged
    assert len(sent) == len(scene.server.apis.requests)
    assert all(name.startswith(f"{scene.run_ids[0]}.") for name, _ in logged if name)


def test_the_history_lists_retries_halving_outcome_and_cost_in_order(
    scene: Scene, run_history: dict[str, Any]
) -> None:
    events = run_history["events"]
    kinds = [event["kind"] for event in events]
    assert run_history["run_id"] == scene.run_ids[0]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_ended"
    assert kinds.count("retry") == 2
    assert kinds.count("batch_halved") == 1
    assert {"step_started", "step_ended", "request", "document"} <= set(kinds)
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    [outcome] = [event for event in events if event["kind"] == "document"]
    assert (outcome["document"], outcome["message"]) == (DOCUMENT, "published at embeddings")
    calls = [event for event in events if event["kind"] == "paid_call"]
    assert [call["code"] for call in calls] == [
        *("service_unavailable", "answered"),
        # A batch with a refused text is divided into four.
        *("service_unavailable", "text_refused", *["answered"] * 4),
    ]
    assert all(call["seconds"] is not None for call in calls)
    spent = sum(float(call["cost_usd"]) for call in calls)
    assert spent == pytest.approx(float(run_history["cost_usd"]))
    assert spent == pytest.approx(float(scene.server.apis.dollars))


def test_any_id_finds_the_same_history(scene: Scene, run_history: dict[str, Any]) -> None:
    call = next(e for e in run_history["events"] if e["kind"] == "paid_call")
    poll = next(e for e in run_history["events"] if e["kind"] == "request")
    for name in (
        DOCUMENT,
        call["request_id"],
        call["client_request_id"],
        poll["request_id"],
        scene.run_ids[0][:8],
    ):
        assert scene.trace(name)["events"] == run_history["events"], name


def test_the_history_is_printed_line_by_line(scene: Scene) -> None:
    done = scene.run("trace", scene.run_ids[0])
    assert done.returncode == 0, done.stderr
    for words in ("retry", "batch_halved", DOCUMENT, "attempt 2", "$0.00"):
        assert words in done.stdout


def test_an_ambiguous_prefix_lists_the_ids_and_an_unknown_one_is_an_error(scene: Scene) -> None:
    with psycopg.connect(scene.database_url) as connection:
        connection.execute(
            "INSERT INTO tvdb.runs (run_id, root_run_id) VALUES"
            " ('twin-1', 'twin-1'), ('twin-2', 'twin-2')"
        )
    both = scene.run("trace", "twin", "--json")
    assert both.returncode == 2
    error = json.loads(both.stdout)["error"]
    assert error["code"] == "id_ambiguous"
    assert "twin-1, twin-2" in error["message"]
    none = scene.run("trace", "nothing-of-the-kind", "--json")
    assert json.loads(none.stdout)["error"]["code"] == "id_unknown"


def test_a_collector_received_one_trace_whose_id_is_the_runs(
    scene: Scene, run_history: dict[str, Any]
) -> None:
    run_id, spans = scene.run_ids[0], scene.collector.spans
    assert {span.trace_id for span in spans} == {run_id.replace("-", "")}
    assert len({span.span_id for span in spans}) == len(spans)
    by_id = {span.span_id: span for span in spans}
    [root] = [span for span in spans if not span.parent_id]
    assert root.name == "run"

    def path(span: Any) -> list[str]:
        return [*(path(by_id[span.parent_id]) if span.parent_id else []), span.name]

    paths = [path(span) for span in spans]
    for stage in Stage:
        assert paths.count(["run", f"stage {stage}"]) == 1
        assert paths.count(["run", f"stage {stage}", f"document {stage}"]) == 1
    calls = [span for span in spans if span.kind == 3]
    assert {tuple(path(span)[:-1]) for span in calls} == {
        ("run", f"stage {stage}", f"document {stage}")
        for stage in (Stage.PARSED_DOCUMENTS, Stage.EMBEDDINGS)
    }
    sent = {
        e["client_request_id"]
        for e in run_history["events"]
        if e["kind"] in ("paid_call", "request")
    }
    assert {span.attributes["tvdb.client_request_id"] for span in calls} == sent
    assert len(calls) == len(scene.server.apis.requests)
    [document] = [s for s in spans if s.span_id == f"{span_id(run_id, 'chunks', DOCUMENT):016x}"]
    assert document.attributes["tvdb.document"] == DOCUMENT


def test_spans_of_embeddings_follow_the_conventions_for_generative_ai(scene: Scene) -> None:
    named = "embeddings text-embedding-3-small"
    spans = [span for span in scene.collector.spans if span.name == named]
    assert len(spans) == 6
    for span in spans:
        reported = span.attributes
        assert reported["gen_ai.operation.name"] == "embeddings"
        assert reported["gen_ai.provider.name"] == "openai"
        assert reported["gen_ai.request.model"] == "text-embedding-3-small"
        assert reported["gen_ai.embeddings.dimension.count"] == 1_536
        assert span.ended >= span.began
        assert span.is_error == ("error.type" in reported)
        assert span.is_error == ("gen_ai.usage.input_tokens" not in reported)
    assert sorted(span.attributes.get("error.type", "") for span in spans) == [
        *[""] * 4,
        *("service_unavailable", "text_refused"),
    ]
    assert {r["service.name"] for r in scene.collector.resources} == {"of-the-test"}


def test_metrics_of_tokens_dollars_latency_budget_queue_and_breaker_were_received(
    scene: Scene,
) -> None:
    metrics = scene.collector.metrics
    tokens = sum(charge.tokens for charge in scene.server.apis.charges)
    [(labels, used)] = metrics["gen_ai.client.token.usage"]
    assert used == tokens
    assert labels["gen_ai.token.type"] == "input"
    assert metrics["gen_ai.client.operation.duration"]
    assert metrics["gen_ai.client.embeddings.duration"]
    assert metrics["gen_ai.client.embeddings.operation.input_tokens"][0][1] == used
    paid = sum(value for _, value in metrics["tvdb.cost"])
    assert paid == pytest.approx(float(scene.server.apis.dollars))
    [(_, spent)] = metrics["tvdb.budget.spent"]
    assert spent == pytest.approx(paid)
    assert metrics["tvdb.budget.limit"] == [({}, 5.0)]
    assert ({"status": "published"}, 1.0) in metrics["tvdb.documents"]
    assert ({"service": "openai"}, 0.0) in metrics["tvdb.breaker.state"]


def test_log_events_are_json_lines_of_the_documented_kinds_with_the_runs_id(scene: Scene) -> None:
    lines = [json.loads(line) for line in scene.stderr.splitlines()]
    known = {event.name: event for event in EVENTS}
    ours = [line for line in lines if line["event"] in known]
    kinds = [line["event"] for line in ours]
    assert kinds.count("call_ended") == 8
    assert {"run_started", "batch_halved", "run_ended"} <= set(kinds)
    assert {line["run_id"] for line in ours} == {scene.run_ids[0]}
    for line in ours:
        fields = set(line) - {"time", "level", "event", "run_id", "message"}
        assert fields <= set(known[line["event"]].fields)


def test_dagsters_own_log_of_the_run_has_the_events_too(scene: Scene) -> None:
    with psycopg.connect(scene.database_url) as connection:
        rows = connection.execute(
            "SELECT event FROM dagster.event_logs WHERE run_id = %s AND event LIKE %s",
            (scene.run_ids[0], "%call_ended: %"),
        ).fetchall()
    assert len(rows) == 8


def test_a_retry_and_the_run_that_it_retries_lead_to_each_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, retry = scene.run_ids[0], new_run_id()
    monkeypatch.setenv("DAGSTER_HOME", str(scene.folder / "home"))
    monkeypatch.setenv("TVDB_DATABASE_URL", scene.database_url)
    with dagster_instance(load_settings()) as instance:
        known = instance.get_run_by_id(first)
        assert known is not None
        instance.run_storage.add_run(
            dg.DagsterRun(
                job_name=known.job_name,
                run_id=retry,
                root_run_id=first,
                parent_run_id=first,
                tags={"dagster/parent_run_id": first, "dagster/root_run_id": first},
            )
        )
    assert scene.trace(first)["runs"][0]["retried_as"] == [retry]
    [run] = scene.trace(retry)["runs"]
    assert (run["root_run_id"], run["parent_run_id"]) == (first, first)
