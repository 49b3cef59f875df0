"""Paid ingestion compared with a bare loop over the same API (100 ms, and 0.05 ms per text).

Prints a table; asserts nothing, as machines are noisy. All rows are of one run on one
database server and one API server, so their ratios can be compared:

- *bare loop*: one process; read, windows of 512 tokens with 64 of overlap, the SDK at its
  best, COPY. No ledger, no limits, no checks, no Dagster; a crash pays for everything again.
  The faster of two, because the first one warms the server up.
- *Dagster's start*: ``dagster asset materialize`` of an asset that does nothing.
- *paid ingestion*: ``tvdb ingest`` in the mode ``real``, a single run of all documents.
- *full-text index*: the work that the ingestion leaves to the first search after it.
- *again*: the same without any change.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import openai
import orjson
import psutil
import psycopg
from ingestion import BIN, DOCUMENTS, make_documents, run
from pgvector.psycopg import register_vector
from rich.console import Console
from rich.table import Table

from tvdb_assets.core.batching import split_into_batches
from tvdb_assets.core.token_counting import tokenizer
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import SpendLimits
from tvdb_assets.spend_guard.guard import Guard
from tvdb_assets.spend_guard.ledger import Ledger, Reservation
from tvdb_assets.spend_guard.paid_call import PaidCall, ServiceResponse, Transaction
from tvdb_assets.spend_guard.paid_service import RequestPermit
from tvdb_assets.spend_guard.prices import embedding_price
from tvdb_assets.spend_guard.service_state_store import ServiceStates

MODEL = "text-embedding-3-small"
IN_FLIGHT = 8


def main() -> None:
    """Measure and print."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS
    with tempfile.TemporaryDirectory(prefix="tvdb-bench-") as folder, paid_api() as url:
        home, source = Path(folder, "home"), Path(folder, "documents")
        make_documents(source, documents)
        server = EmbeddedPostgres(home)
        try:
            measure(home, source, server.ensure_running(), url, documents)
        finally:
            server.stop()


@contextmanager
def paid_api() -> Iterator[str]:
    """The simulated API in a separate process; yields its URL."""
    command = [sys.executable, "-m", "tvdb_assets_tests.paid_apis"]
    command += ["--port", "0", "--latency-ms", "100", "--per-input-ms", "0.05"]
    here = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": here}
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait()


def measure(home: Path, source: Path, database: str, api: str, documents: int) -> None:
    """Measure each row and print the table."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("TVDB_")},
        "DAGSTER_HOME": str(home),
        "TVDB_SOURCE": str(source),
        "TVDB_SERVICE_MODE": "real",
        "TVDB_HOURLY_RATE_LIMIT": "100000",
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": f"{api}/v1",
        "LLAMA_CLOUD_API_KEY": "llx-bench",
        "LLAMA_CLOUD_BASE_URL": api,
    }
    tvdb = [str(BIN / "tvdb"), "ingest", "--json"]
    here = Path(__file__).parent
    empty = [str(BIN / "dagster"), "asset", "materialize", "--select", "empty"]
    empty += ["-f", str(here / "empty_asset.py")]
    (home / "dagster.yaml").write_bytes((here.parent / "dagster.yaml").read_bytes())
    run(empty, environment)  # creates the schemas and is not part of any row
    bare, chunks = min(bare_loop(database, source, f"{api}/v1") for _ in range(2))
    calls = counters(api)
    start, _, _ = run(empty, environment)
    ingestion, peak, output = run(tvdb, environment)
    summary = json.loads(output)
    after = counters(api)
    again, _, repeated = run(tvdb, environment)
    table = Table(title=f"{documents:,} Markdown documents of 20 kB, over a paid API")
    for column in ("", "seconds", "over Dagster's start, in bare loops", "requests", ""):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row(
        "bare loop", f"{bare:.2f}", "", f"{calls['requests'] // 2:,}", f"{chunks:,} chunks"
    )
    table.add_row("Dagster's start", f"{start:.2f}", "", "", "an empty asset")
    table.add_row(
        "paid ingestion",
        f"{ingestion:.2f}",
        f"{(ingestion - start) / bare:.2f}",
        f"{after['requests'] - calls['requests']:,}",
        f"{summary['embedded_texts']:,} texts, {peak:,.0f} MiB, ${summary['cost_usd']}",
    )
    table.add_row(
        "again",
        f"{again:.2f}",
        "",
        f"{counters(api)['requests'] - after['requests']}",
        f"{json.loads(repeated)['embedded_texts']:,} texts",
    )
    table.caption = f"texts billed twice: {after['billed_twice'] - calls['billed_twice']:,}"
    own, servers = asyncio.run(guard_cpu(database))
    console = Console(width=110)
    console.print(table)
    console.print(
        f"The guard takes {own:.2f} ms of CPU a call, and Postgres {servers:.2f} ms for it."
    )


async def guard_cpu(url: str, calls: int = 500) -> tuple[float, float]:
    """Milliseconds of CPU for one paid call whose request takes none: here, and in Postgres."""
    price = embedding_price(MODEL)

    async def send(permit: RequestPermit) -> ServiceResponse[None]:
        request_id = permit.use("openai", is_paid=True)
        return ServiceResponse(None, quantity=100, request_id=request_id)

    def persist(tx: Transaction, reservation: Reservation, value: None) -> None:
        """Nothing: storing a result is no part of the guard."""

    with Database(url) as database:
        limits = SpendLimits(Decimal(1_000), 1_000_000)
        guard = Guard(
            database, Ledger(database, limits), ServiceStates(database), run_id="benchmark"
        )
        paid = PaidCall("openai", "embed", MODEL, "", price, 100, 1, ["a.md"], [100])
        await guard.call(paid, send, persist)
        before, of_servers = time.process_time(), _cpu_of_postgres(database)
        for _ in range(calls):
            await guard.call(paid, send, persist)
        own = time.process_time() - before
        servers = _cpu_of_postgres(database) - of_servers
        return own * 1_000 / calls, servers * 1_000 / calls


def _cpu_of_postgres(database: Database) -> float:
    """Seconds of CPU of all its live processes."""
    with database.transaction() as tx:
        [[backend]] = tx.execute("SELECT pg_backend_pid()").fetchall()
    server = psutil.Process(backend).parent()
    assert server is not None
    times = [process.cpu_times() for process in (server, *server.children())]
    return sum(each.user + each.system for each in times)


def counters(api: str) -> dict[str, int]:
    """The requests that the API has received so far."""
    with urlopen(f"{api}/_log") as answer:
        counted: dict[str, int] = json.load(answer)["counters"]
    return counted


def bare_loop(database: str, source: Path, api: str) -> tuple[float, int]:
    """Read, split, embed and COPY everything; returns seconds and chunks."""
    started = time.perf_counter()
    texts: list[str] = []
    counts: list[int] = []
    encoder = tokenizer()
    for path in sorted(source.iterdir()):
        tokens = encoder.encode(path.read_text("utf-8"))
        for start in range(0, max(1, len(tokens) - 64), 448):
            window = tokens[start : start + 512]
            text = encoder.decode(window)  # type: ignore[attr-defined]
            if text:
                texts.append(text)
                counts.append(len(window))
    with psycopg.connect(database) as connection:
        register_vector(connection)
        connection.execute("DROP TABLE IF EXISTS public.bare")
        connection.execute("CREATE TABLE public.bare (text text, embedding vector)")
        connection.execute("ALTER TABLE public.bare ALTER embedding SET STORAGE EXTERNAL")
        connection.commit()
        asyncio.run(_embed(connection, texts, counts, api))
    return time.perf_counter() - started, len(texts)


async def _embed(
    connection: psycopg.Connection, texts: list[str], counts: list[int], api: str
) -> None:
    client = openai.AsyncOpenAI(api_key="sk-bench", base_url=api, max_retries=0)
    concurrency = asyncio.Semaphore(IN_FLIGHT)

    async def request(start: int, end: int) -> None:
        async with concurrency:
            raw = await client.embeddings.with_raw_response.create(
                input=texts[start:end], model=MODEL, encoding_format="base64"
            )
        data = orjson.loads(raw.content)["data"]
        vectors = [np.frombuffer(binascii.a2b_base64(item["embedding"]), "<f4") for item in data]
        statement = "COPY public.bare FROM STDIN (FORMAT BINARY)"
        with connection.cursor().copy(statement) as copy:
            copy.set_types(["text", "vector"])
            for text, vector in zip(texts[start:end], vectors, strict=True):
                copy.write_row((text, vector))
        connection.commit()

    runs = split_into_batches(counts, max_inputs=2_048, max_tokens=300_000)
    await asyncio.gather(*(request(start, end) for start, end in runs))
    await client.close()


if __name__ == "__main__":
    main()
