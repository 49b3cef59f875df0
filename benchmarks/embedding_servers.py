"""Ingestions with every kind of embedding server that the tests know, as a table.

Each kind ingests 40 documents with 280 chunks. No setting is given beyond address, model and
price. Prints published documents, the code of those that are not, all requests, and those that
were of no use: refused, or answered with nothing that could be stored.

``python benchmarks/embedding_servers.py [KIND ...]``
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg

from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets_tests.embedding.server_kinds import DIMENSIONS, KINDS, ONE_FAILS, POISON, Server
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

DOCUMENTS = 40
PARTS = 7


def main() -> None:
    """Ingest with each kind and print."""
    names = sys.argv[1:] or list(KINDS)
    print("| Server | Published | Chunks | Not published | Requests | Of no use |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tvdb-bench-") as folder:
        server = EmbeddedPostgres(Path(folder, "home"))
        url = server.ensure_running()
        workers = WorkerPool(
            workers=1, timeout_seconds=60, memory_mib=1_024, tasks_per_worker=1_000
        )
        try:
            for name in names:
                path = Path(folder, uuid4().hex)
                path.mkdir()
                print(f"| {name} | {measured(name, url, path, workers)} |", flush=True)
        finally:
            workers.close()
            server.stop()


def measured(name: str, url: str, path: Path, workers: WorkerPool) -> str:
    """The cells of one row."""
    for number in range(DOCUMENTS):
        parts = [part(number, at) for at in range(PARTS)]
        if number == DOCUMENTS // 4 and name in ONE_FAILS:
            parts[PARTS // 2] += f" {POISON}"
        (path / f"{number:02}.md").write_text("\n\n".join(parts))
    with fresh_database(url) as database:
        paid = PaidServicesFixture(database, workers)
        paid.transport = server = Server(KINDS[name])
        documents = DocumentFolder(paid, path)
        given: dict[str, object] = {
            "OPENAI_BASE_URL": "http://127.0.0.1:9",
            "embedding_model": "of-another-server",
            "embedding_usd_per_million": "0.02",
            "chunk_tokens": 512,
            "parser_mode": "local",
            "paid_attempts": 6,
            "paid_max_wait_seconds": 120.0,
        }
        if "shortened" in name:
            given["embedding_dimensions"] = DIMENSIONS
        results = documents.ingest(**given)
        [(published, chunks)] = paid.rows(
            "SELECT count(DISTINCT document), count(*) FROM tvdb.search_index"
        )
        codes = Counter(documents.codes(results).values())
        failed = ", ".join(f"{count} `{code}`" for code, count in codes.items())
    requests, wasted = len(server.asked), server.wasted
    return f"{published} | {chunks} | {failed} | {requests} | {wasted}"


def part(document: int, number: int) -> str:
    """A section that is a separate chunk."""
    words = " ".join(f"word{document}x{number}x{at}" for at in range(60))
    return f"# Part {number}\n\nClause {document}-{number}: {words}"


@contextmanager
def fresh_database(url: str) -> Iterator[Database]:
    """A separate database on the server at ``url``."""
    name = f"bench_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    of_its_own = f"{url.rsplit('/', 1)[0]}/{name}"
    prepare(of_its_own)
    with Database(of_its_own) as database:
        yield database


if __name__ == "__main__":
    main()
