"""Nothing that is secret or a document's own is found where it does not belong.

Strings that occur nowhere else are put into keys, files, texts and the services' error bodies;
real Dagster runs meet many faults; then everything that was stored or said is searched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tvdb_assets_tests.paid_apis import Behaviour, RunningServer, running_server

TEXT = "canary-of-text-vq7x"
FILE = "canary-of-file-kz3w"
BODY = "canary-of-body-jh8p"
OPENAI_KEY = "sk-Qz7xK-canary-of-key-9m2t"
LLAMA_KEY = "llx-Wv4jB-canary-of-key-6r8n"
CANARIES = [TEXT, FILE, BODY, "canary-of-", OPENAI_KEY[:8], LLAMA_KEY[:9], OPENAI_KEY, LLAMA_KEY]
TEXT_BEARING = {
    "parsed_documents": ["text", "title", "headings"],
    "chunks": ["text", "heading_path"],
}
NOTES = ["good", "refused_text", "unknown_code", "too_large"]
PAGES = [
    *("good", "refused_text", "unknown_code", "too_large", "unprocessable"),
    *("job_failed", "job_partial", "job_unknown_status"),
]
PASSING = ["server_error", "bad_gateway_html", "rate_limited"]
"""Met by whatever comes first, and once only, lest the breaker open before the rest is met."""


@dataclass(frozen=True)
class Said:
    """What one process said."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Scene:
    """A project after its runs."""

    database_url: str
    home: Path
    said: list[Said]


def fill(documents: Path) -> None:
    """One document for each fault: its name is the marker by which the fault finds it."""
    for name in NOTES:
        text = f"# {TEXT} of {name}\n\nnote-{name}. The {TEXT} is kept in the cellar.\n"
        (documents / f"note-{name}.md").write_text(text)
    for name in PAGES:
        page = f"<!doctype html><h1>{TEXT}</h1><p>page-{name}. {FILE} is kept.</p><!-- {FILE} -->"
        (documents / f"page-{name}.html").write_text(page)
    (documents / "broken.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /T (" + FILE.encode())
    (documents / "nul.md").write_bytes(b"\0\0\0")
    (documents / "garbled.txt").write_bytes(bytes(range(128, 256)) * 40 + FILE.encode())
    (documents / "fake.docx").write_bytes(b"PK\x03\x04" + FILE.encode())


def ingest(project: Path, database_url: str, server: RunningServer, **keys: str) -> Said:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TVDB_", "DAGSTER"))}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "tvdb"), "ingest", "--json"],
        cwd=project,
        env=inherited
        | {
            "DAGSTER_HOME": str(project / "home"),
            "TVDB_SOURCE": str(project / "documents"),
            "TVDB_DATABASE_URL": database_url,
            "TVDB_SERVICE_MODE": "real",
            "TVDB_PARSE_WORKERS": "1",
            "TVDB_PAID_ATTEMPTS": "2",
            "TVDB_PAID_PATIENCE_SECONDS": "1",
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
    return Said(done.returncode, done.stdout, done.stderr)


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
            said = [ingest(project, url, server)]
            faults.clear()
            for name, kept in (("new.md", TEXT), ("new.html", FILE)):
                text = f"<!doctype html><p>The new {kept} is kept in the attic.</p>"
                (project / "documents" / name).write_text(text)
            bad = {"OPENAI_API_KEY": OPENAI_KEY + "x", "LLAMA_CLOUD_API_KEY": LLAMA_KEY + "x"}
            said.append(ingest(project, url, server, **bad))
            yield Scene(url, project / "home", said)
        finally:
            connection.execute("DROP DATABASE canaries WITH (FORCE)")


def found(scene: Scene) -> list[tuple[str, str]]:
    """Where which canary is: in a table, in a file of the instance, or in what was said."""
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
    for at, said in enumerate(scene.said):
        hits += [(f"stdout {at}", canary) for canary in in_text(said.stdout)]
        hits += [(f"stderr {at}", canary) for canary in in_text(said.stderr)]
    return sorted(set(hits))


def in_text(text: str) -> list[str]:
    """The canaries in a text, also those in bytes that are shown as hexadecimal digits."""
    return [c for c in CANARIES if c in text or c.encode().hex() in text]


def test_the_runs_met_the_faults_and_said_so_as_json(scene: Scene) -> None:
    first, second = (json.loads(said.stdout) for said in scene.said)
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
    assert outcomes >= {"answered", "service_unavailable", "text_refused", "key_refused"}
    assert events is not None
    assert events[0] > 50
    assert shown is not None
    assert shown[0] > 0


def test_no_canary_is_where_it_does_not_belong(scene: Scene) -> None:
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
    try:
        leaked.write_text(f"Traceback: {TEXT}")
        hits = found(scene)
    finally:
        leaked.unlink()
        with psycopg.connect(scene.database_url) as connection:
            connection.execute("UPDATE tvdb.documents SET error_message = NULL, sha256 = NULL"
                " WHERE path IN ('nul.md', 'broken.pdf')")  # fmt: skip
            connection.execute("DELETE FROM dagster.kvs WHERE key = 'leak'")
    assert {
        *(("tvdb.documents", BODY), ("tvdb.documents", FILE)),
        *(("dagster.kvs", OPENAI_KEY), ("leak.err", TEXT)),
    } <= set(hits)
