"""Secrets and document text are found only in the tables that may contain them.

Unique strings are put into keys, files, texts and the services' error bodies. Real Dagster runs
encounter many faults. Then all stored data and all output is searched for the strings.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tvdb_assets_tests.otlp_collector import Collector, running_collector
from tvdb_assets_tests.paid_apis import Behaviour, RunningServer, running_server

pytestmark = pytest.mark.timeout(400)  # four processes, the first of which encounters many faults

TEXT = "canary-of-text-vq7x"
FILE = "canary-of-file-kz3w"
BODY = "canary-of-body-jh8p"
NAME = "canary-of-name-wd5r"
PRIVATE = f"people/{NAME}"
"""A folder that is marked private: its name and those of its files are nowhere but in its table."""
OPENAI_KEY = "sk-Qz7xK-canary-of-key-9m2t"
LLAMA_KEY = "llx-Wv4jB-canary-of-key-6r8n"
CANARIES = [
    TEXT,
    FILE,
    BODY,
    NAME,
    "canary-of-",
    OPENAI_KEY[:8],
    LLAMA_KEY[:9],
    OPENAI_KEY,
    LLAMA_KEY,
]
TEXT_BEARING = {
    "documents": ["path"],
    "parsed_documents": ["text", "title", "headings"],
    "chunks": ["text", "heading_path"],
}
NOTES = ["good", "refused_text", "unknown_code", "too_large"]
PAGES = [
    *("good", "refused_text", "unknown_code", "too_large", "unprocessable"),
    *("job_failed", "job_partial", "job_unknown_status"),
]
PASSING = ["server_error", "bad_gateway_html", "rate_limited"]
"""Faults of the first requests, once each, so that the breaker stays closed for the others."""


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of one process."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Scene:
    """A project after its runs."""

    database_url: str
    home: Path
    said: list[CommandResult]
    collector: Collector
    project: Path
    server: RunningServer


def fill(documents: Path) -> None:
    """Write one document for each fault; its name is the marker that triggers the fault."""
    for name in NOTES:
        text = f"# {TEXT} of {name}\n\nnote-{name}. The {TEXT} is kept in the cellar.\n"
        (documents / f"note-{name}.md").write_text(text)
    for name in PAGES:
        page = f"<!doctype html><h1>{TEXT}</h1><p>page-{name}. {FILE} is kept.</p><!-- {FILE} -->"
        (documents / f"page-{name}.html").write_text(page)
    (documents / PRIVATE).mkdir(parents=True)
    (documents / PRIVATE / "page.html").write_text(f"<!doctype html><p>{NAME}: {TEXT}</p>")
    (documents / PRIVATE / f"{NAME}.md").write_text(f"The {TEXT} is kept in the attic, too.")
    (documents / PRIVATE / f"{NAME}.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /T (")
    (documents / "broken.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /T (" + FILE.encode())
    (documents / "nul.md").write_bytes(b"\0\0\0")
    (documents / "garbled.txt").write_bytes(bytes(range(128, 256)) * 40 + FILE.encode())
    (documents / "fake.docx").write_bytes(b"PK\x03\x04" + FILE.encode())


def ingest(project: Path, database_url: str, server: RunningServer, **keys: str) -> CommandResult:
    return run(project, database_url, server, "tvdb", "ingest", "--json", **keys)


def run(
    project: Path, database_url: str, server: RunningServer, *command: str, **keys: str
) -> CommandResult:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TVDB_", "DAGSTER"))}
    done = subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        cwd=project,
        env=inherited
        | {
            "DAGSTER_HOME": str(project / "home"),
            "TVDB_SOURCE": str(project / "documents"),
            "TVDB_DATABASE_URL": database_url,
            "TVDB_SERVICE_MODE": "real",
            "TVDB_PARSE_WORKERS": "1",
            "TVDB_PAID_ATTEMPTS": "2",
            "TVDB_PAID_MAX_WAIT_SECONDS": "1",
            "TVDB_PRIVATE_PATHS": "people/*",
            "TVDB_LOG_FORMAT": "json",
            "OPENAI_API_KEY": OPENAI_KEY,
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "LLAMA_CLOUD_API_KEY": LLAMA_KEY,
            "LLAMA_CLOUD_BASE_URL": server.url,
            **keys,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def scene(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    project = tmp_path_factory.mktemp("canaries")
    (project / "documents").mkdir()
    (project / "home").mkdir()
    fill(project / "documents")
    url = server_url.replace("/tvdb?", "/canaries?")
    known = frozenset({OPENAI_KEY, LLAMA_KEY})
    with (
        running_server(Behaviour(canary=BODY, keys=known)) as server,
        running_collector() as collector,
        psycopg.connect(server_url, autocommit=True) as connection,
    ):
        faults = server.apis.faults
        faults.script("bad_gateway_html", times=1)
        for name in PASSING:
            faults.script(name, operation="submit", times=1)
        for name in NOTES[1:]:
            faults.script(name, times=None, marker=f"note-{name}")
        for name in PAGES[1:]:
            faults.script(name, operation="submit", times=None, marker=f"page-{name}")
        connection.execute("CREATE DATABASE canaries")
        try:
            traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}"}
            said = [ingest(project, url, server, **traced)]
            faults.clear()
            for name, kept in (("new.md", TEXT), ("new.html", FILE)):
                text = f"<!doctype html><p>The new {kept} is kept in the attic.</p>"
                (project / "documents" / name).write_text(text)
            bad = {"OPENAI_API_KEY": OPENAI_KEY + "x", "LLAMA_CLOUD_API_KEY": LLAMA_KEY + "x"}
            said.append(ingest(project, url, server, **bad, **traced))
            # Dagster's own command, and one whose errors come from a source that is not there.
            materialize = ["dagster", "asset", "materialize", "-m", "tvdb_assets.definitions"]
            materialize += ["--select", "*", "--partition", private_keys(url)[0]]
            said.append(run(project, url, server, *materialize, **traced))
            said.append(run(project, url, server, "tvdb", "ingest", f"documents/{PRIVATE}/gone.md"))
            yield Scene(url, project / "home", said, collector, project, server)
        finally:
            connection.execute("DROP DATABASE canaries WITH (FORCE)")


def private_keys(database_url: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT partition_key FROM tvdb.documents WHERE path LIKE 'people/%' ORDER BY path"
        ).fetchall()
    return [row[0] for row in rows]


def found(scene: Scene) -> list[tuple[str, str]]:
    """Each place with a canary: a table, a file of the instance, a span, or an output."""
    hits = []
    with psycopg.connect(scene.database_url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname IN ('dagster', 'tvdb', 'public') ORDER BY 1, 2"
        ).fetchall()
        for schema, table in tables:
            query = sql.SQL("SELECT (to_jsonb(t) - %s::text[])::text FROM {} t").format(
                sql.Identifier(schema, table)
            )
            kept_out = TEXT_BEARING.get(table, []) if schema == "tvdb" else []
            for (row,) in connection.execute(query, (kept_out,)):
                hits += [(f"{schema}.{table}", canary) for canary in in_text(row)]
    for path in sorted(scene.home.rglob("*")):
        if path.is_file():
            content = path.read_bytes().decode("utf-8", "replace")
            hits += [(path.name, canary) for canary in in_text(content)]
    for body in scene.collector.bodies:
        hits += [("spans", canary) for canary in in_text(body.decode("utf-8", "replace"))]
    for at, said in enumerate(scene.said):
        hits += [(f"stdout {at}", canary) for canary in in_text(said.stdout)]
        hits += [(f"stderr {at}", canary) for canary in in_text(said.stderr)]
    return sorted(set(hits))


def in_text(text: str) -> list[str]:
    """The canaries in a text, also those in bytes that are shown as hexadecimal digits."""
    return [c for c in CANARIES if c in text or c.encode().hex() in text]


def test_the_runs_met_the_faults_and_said_so_as_json(scene: Scene) -> None:
    first, second = (json.loads(said.stdout) for said in scene.said[:2])
    assert scene.said[0].code != 0
    codes = {failure["code"] for failure in first["failures"]}
    assert codes >= {
        *("text_refused", "request_refused", "text_too_long"),
        *("document_refused", "parse_job_failed", "pages_failed", "corrupt", "empty"),
    }
    assert first["documents"]["published"] >= 2
    assert first["run_ids"]
    assert second["run_ids"]
    with psycopg.connect(scene.database_url) as connection:
        rows = connection.execute("SELECT DISTINCT outcome FROM tvdb.cost_ledger").fetchall()
        outcomes = {row[0] for row in rows}
        events = connection.execute("SELECT count(*) FROM dagster.event_logs").fetchone()
        shown = connection.execute(
            "SELECT count(*) FROM tvdb.search_index WHERE text LIKE %s", (f"%{TEXT}%",)
        ).fetchone()
    assert outcomes >= {"answered", "service_unavailable", "text_refused"}
    # The key is refused by the upload, which is free and has no entry.
    assert {waiting["code"] for waiting in second["deferred"]} == {"key_refused"}
    assert events is not None
    assert events[0] > 50
    assert shown is not None
    assert shown[0] > 0


def test_no_canary_is_outside_its_permitted_tables(scene: Scene) -> None:
    assert found(scene) == []


def test_the_search_finds_a_leak_wherever_it_is_planted(scene: Scene) -> None:
    leaked = scene.home / "storage" / "leak.err"
    leaked.parent.mkdir(exist_ok=True)
    with psycopg.connect(scene.database_url) as connection:
        connection.execute(
            "UPDATE tvdb.documents SET error_message = %s WHERE path = 'nul.md'", (BODY,)
        )
        connection.execute("UPDATE tvdb.documents SET sha256 = %s WHERE path = 'broken.pdf'",
            (FILE.encode(),))  # fmt: skip
        connection.execute(
            "INSERT INTO dagster.kvs (key, value) VALUES ('leak', %s)", (OPENAI_KEY,)
        )
    scene.collector.bodies.append(NAME.encode())
    scene.said.append(CommandResult(0, BODY, LLAMA_KEY))
    try:
        leaked.write_text(f"Traceback: {TEXT}")
        hits = found(scene)
    finally:
        leaked.unlink()
        scene.collector.bodies.pop()
        scene.said.pop()
        with psycopg.connect(scene.database_url) as connection:
            connection.execute("UPDATE tvdb.documents SET error_message = NULL, sha256 = NULL"
                " WHERE path IN ('nul.md', 'broken.pdf')")  # fmt: skip
            connection.execute("DELETE FROM dagster.kvs WHERE key = 'leak'")
    assert {
        *(("tvdb.documents", BODY), ("tvdb.documents", FILE)),
        *(("dagster.kvs", OPENAI_KEY), ("leak.err", TEXT)),
        *(("spans", NAME), ("stdout 4", BODY), ("stderr 4", LLAMA_KEY)),
    } <= set(hits)


def test_private_documents_are_ingested_under_opaque_names(scene: Scene) -> None:
    keys = private_keys(scene.database_url)
    assert len(keys) == 3
    assert all(re.fullmatch("private-[0-9a-f]{16}", key) for key in keys)
    first = json.loads(scene.said[0].stdout)
    [failure] = [f for f in first["failures"] if f["document"] in keys]
    assert failure["code"] == "corrupt"
    with psycopg.connect(scene.database_url) as connection:
        partitions = connection.execute("SELECT partition FROM dagster.dynamic_partitions")
        assert set(keys) <= {row[0] for row in partitions}
        paid = connection.execute("SELECT DISTINCT unnest(documents) FROM tvdb.cost_ledger")
        assert len({row[0] for row in paid} & set(keys)) >= 2
    traced = {s.attributes.get("tvdb.document") for s in scene.collector.spans}
    assert set(keys) <= traced
    uploaded = [job.submission.name for job in scene.server.apis._jobs.values()]
    assert "document.html" in uploaded
    assert NAME not in " ".join(uploaded)


def test_status_shows_a_private_path_and_other_output_an_id(scene: Scene) -> None:
    key = private_keys(scene.database_url)[0]
    asked = run(scene.project, scene.database_url, scene.server, "tvdb", "status", key, "--json")
    assert NAME in json.loads(asked.stdout)["document"]
    reported = run(scene.project, scene.database_url, scene.server, "tvdb", "trace", key, "--json")
    assert json.loads(reported.stdout)["events"]
    assert in_text(reported.stdout) + in_text(reported.stderr) == []
    # What a user sees of an error has an id.
    gone = scene.said[3]
    assert gone.code == 2
    assert re.search(r"id [0-9a-f]{8}-", gone.stderr)
