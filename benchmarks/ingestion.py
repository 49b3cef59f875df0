"""1,000 Markdown documents of 20 kB through all three assets, compared with the bare work.

Prints a table; asserts nothing, as machines are noisy. All rows are of one run on one
server, so their ratios can be compared:

- *floor*: read, chunk, COPY of chunks and vectors, in one process; no Dagster, no embedding.
- *Dagster's start*: ``dagster asset materialize`` of an asset that does nothing.
- *ingestion*: ``tvdb ingest`` with the mock embedder, a single run of all documents.
- *again*: the same without any change; *all again*: with every file touched.
- *mixed*: 100 documents of seven formats, with the local embedder.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psycopg
from mixed_documents import make_mixed_documents
from pgvector.psycopg import register_vector
from rich.console import Console
from rich.table import Table

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.embedding.providers.mock import DIMENSIONS
from tvdb_assets.models import ParsedDocument, Provenance

DOCUMENTS = 1_000
CHARACTERS = 20_000
BIN = Path(sys.executable).parent
_WORDS = (
    "policy cover claim insured loss premium limit excess water fire theft notice damage "
    "liability building contents period section schedule deductible exclusion endorsement "
    "vehicle driver property person injury repair replacement value company payment"
)


def main() -> None:
    """Measure and print."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS
    with tempfile.TemporaryDirectory(prefix="tvdb-bench-") as folder:
        home, source = Path(folder, "home"), Path(folder, "documents")
        make_documents(source, documents)
        server = EmbeddedPostgres(home)
        try:
            report(measure(home, source, server.ensure_running()), documents)
        finally:
            server.stop()


def measure(home: Path, source: Path, url: str) -> list[tuple[str, float, float, str]]:
    """Rows of (name, seconds, peak MiB of the largest process, remark)."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("TVDB_")},
        "DAGSTER_HOME": str(home),
        "TVDB_SOURCE": str(source),
        "TVDB_SERVICE_MODE": "mock",
    }
    tvdb = [str(BIN / "tvdb"), "ingest", "--json"]
    here = Path(__file__).parent
    empty = [str(BIN / "dagster"), "asset", "materialize", "--select", "empty"]
    empty += ["-f", str(here / "empty_asset.py")]
    # The first use creates the schemas and is not part of any row.
    (home / "dagster.yaml").write_bytes((here.parent / "dagster.yaml").read_bytes())
    run(empty, environment)
    rows = []
    seconds, chunks = floor(url, source)
    rows.append(("floor", seconds, 0.0, f"{chunks:,} chunks"))
    seconds, peak, _ = run(empty, environment)
    rows.append(("Dagster's start", seconds, peak, "an empty asset"))
    for name in ("ingestion", "again", "all again"):
        if name == "all again":
            for path in source.iterdir():
                path.touch()
        seconds, peak, output = run(tvdb, environment)
        summary = json.loads(output)
        remark = f"{summary['embedded_texts']:,} texts embedded, {len(summary['run_ids'])} runs"
        rows.append((name, seconds, peak, remark))
    mixed = source.with_name("mixed")
    make_mixed_documents(mixed)
    environment |= {"TVDB_SOURCE": str(mixed), "TVDB_SERVICE_MODE": "local"}
    seconds, peak, output = run(tvdb, environment)
    remark = f"{json.loads(output)['embedded_texts']:,} texts embedded"
    rows.append(("mixed", seconds, peak, remark))
    return rows


def report(rows: Sequence[tuple[str, float, float, str]], documents: int) -> None:
    """Print the table."""
    seconds = {name: value for name, value, _, _ in rows}
    table = Table(title=f"{documents:,} Markdown documents of {CHARACTERS // 1_000} kB")
    for column in ("", "seconds", "peak MiB", "over Dagster's start, in floors", ""):
        table.add_column(column, justify="left" if not column else "right")
    for name, value, peak, remark in rows:
        floors = (value - seconds["Dagster's start"]) / seconds["floor"]
        ratio = f"{floors:.2f}" if name in ("ingestion", "again", "all again") else ""
        table.add_row(name, f"{value:.2f}", f"{peak:,.0f}" if peak else "", ratio, remark)
    Console(width=100).print(table)


def floor(url: str, source: Path) -> tuple[float, int]:
    """Read, chunk and COPY everything; returns seconds and chunks."""
    chunker = Chunker()
    produced_by = Provenance("bench", "mock", "", "")
    vector = np.random.default_rng(0).uniform(-1, 1, DIMENSIONS).astype(np.float32)
    with psycopg.connect(url) as connection:
        register_vector(connection)
        connection.execute("CREATE TABLE public.floor (text text, embedding vector)")
        connection.execute("ALTER TABLE public.floor ALTER embedding SET STORAGE EXTERNAL")
        connection.commit()
        started = time.perf_counter()
        count = 0
        statement = "COPY public.floor FROM STDIN (FORMAT BINARY)"
        with connection.cursor().copy(statement) as copy:
            copy.set_types(["text", "vector"])
            for path in sorted(source.iterdir()):
                parsed = ParsedDocument(path.read_text("utf-8"), "text/markdown", True, produced_by)
                for chunk in chunker.chunk(parsed):
                    copy.write_row((chunk.text, vector))
                    count += 1
        connection.commit()
        return time.perf_counter() - started, count


def run(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Seconds, peak MiB of the process itself, and stdout."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1_024, text


def make_documents(folder: Path, documents: int) -> None:
    """Markdown with headings and paragraphs; the same on every machine."""
    folder.mkdir(parents=True)
    words = _WORDS.split()
    for number in range(documents):
        generator = random.Random(number)
        lines = [f"# Policy {number}", ""]
        size = 0
        while size < CHARACTERS:
            sentence = " ".join(generator.choices(words, k=12)).capitalize() + "."
            block = " ".join(
                [sentence]
                + [" ".join(generator.choices(words, k=14)).capitalize() + "." for _ in range(5)]
            )
            if generator.random() < 0.2:
                block = f"## Section {size}\n\n{block}"
            lines += [block, ""]
            size += len(block) + 2
        (folder / f"policy-{number:05}.md").write_text("\n".join(lines)[:CHARACTERS], "utf-8")


if __name__ == "__main__":
    main()
