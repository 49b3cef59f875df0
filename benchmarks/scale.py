"""100,000 documents: operations that scan all of them must stay fast and small.

Prints a table; asserts nothing, as machines are noisy. The documents are small, real files,
ingested by the project itself with the local embedder, which takes most of the time. Then, each
in a separate process, whose start has its own row:

- *intake tick*: `document_intake` without a change; and with 1,000 files changed, 1,000 new and
  1,000 deleted, as far apart as possible.
- *catch-up planning*: `nightly_catch_up` with nothing due; and with all documents stale.
- *status*: `tvdb status`.
- *search*: `tvdb search`, including the time to load the embedder.

Usage: python benchmarks/scale.py [DOCUMENTS] [FOLDER]; a FOLDER is kept for the next time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ingestion import BIN, run
from rich.console import Console
from rich.table import Table

DOCUMENTS = 100_000
_PER_FOLDER = 1_000


def main() -> None:
    """Prepare, measure and print."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS
    if len(sys.argv) > 2:
        measure(Path(sys.argv[2]).absolute(), documents)
    else:
        with tempfile.TemporaryDirectory(prefix="tvdb-scale-") as folder:
            measure(Path(folder), documents)


def measure(folder: Path, documents: int) -> None:
    """Ingest all documents, then time each operation on them."""
    source, home = folder / "documents", folder / "home"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("TVDB_")},
        "DAGSTER_HOME": str(home),
        "TVDB_SOURCE": str(source),
        "TVDB_SERVICE_MODE": "local",
        "TVDB_INTAKE_SETTLE_SECONDS": "0",
        "TVDB_RUN_PARTITIONS": "5000",
    }
    home.mkdir(parents=True, exist_ok=True)
    for number in range(documents):
        write(source, number, "as it was written first")
    table = Table("Operation", "seconds", "peak MiB", "remark", box=None, padding=(0, 2, 0, 0))

    def row(name: str, *command: str) -> None:
        seconds, peak, remark = timed([*command], environment)
        table.add_row(name, f"{seconds:.1f}", f"{peak:.0f}", remark)
        Console(stderr=True).print(f"{name}: {seconds:.1f} s, {peak:.0f} MiB, {remark}")

    tick = (sys.executable, __file__, "--tick")
    row("ingestion of all", str(BIN / "tvdb"), "ingest", "--json")
    row("a process with Dagster", *tick, "nothing")
    row("intake tick, nothing changed", *tick, "document_intake")
    row("catch-up planning, nothing due", *tick, "nightly_catch_up")
    row("tvdb status", str(BIN / "tvdb"), "status", "--json")
    row("tvdb search", str(BIN / "tvdb"), "search", "--json", "the matter of series 77")
    step = max(1, documents // 1_000)
    for number in range(0, documents, step):
        write(source, number, "as it reads now")
        write(source, documents + number, "as it was added")
        path_of(source, number + step // 2).unlink(missing_ok=True)
    row("intake tick, 3,000 changes far apart", *tick, "document_intake")
    environment["TVDB_CHUNK_TOKENS"] = "500"
    row("catch-up planning, all stale", *tick, "nightly_catch_up")
    Console().print(table)
    subprocess.run([str(BIN / "tvdb"), "stop"], env=environment, check=True, capture_output=True)


def path_of(source: Path, number: int) -> Path:
    """The path of a document; a folder has a thousand."""
    return source / f"{number // _PER_FOLDER:04}" / f"note-{number:06}.md"


def write(source: Path, number: int, ending: str) -> None:
    """Write a document that differs from all others, unless it is there already."""
    path = path_of(source, number)
    text = f"# Note {number}\n\nThe matter of series {number} is settled {ending}.\n"
    if not path.exists() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Seconds and peak MiB of a process, and a remark from its JSON."""
    seconds, peak, out = run(command, environment)
    output = json.loads(out.strip().splitlines()[-1])
    if "--tick" in command:
        # Without imports, which the row of a process with Dagster measures.
        seconds = output["seconds"]
    return seconds, peak, output.get("remark") or ", ".join(_counts(output.get("documents", {})))


def _counts(counts: dict[str, int]) -> list[str]:
    return [f"{count:,} {name}" for name, count in counts.items() if count]


def evaluate(name: str) -> None:
    """Evaluate one tick in this process, and print its seconds without imports."""
    import dagster as dg

    from tvdb_assets.dagster.storage.home import dagster_instance
    from tvdb_assets.definitions import defs
    from tvdb_assets.settings import load_settings

    with dagster_instance(load_settings()) as instance:
        loaded = defs()
        repository = loaded.get_repository_def()
        context_arguments = {
            "instance": instance,
            "repository_def": repository,
            "resources": dict(loaded.resources or {}),
        }

        def sensor() -> str:
            with dg.build_sensor_context(**context_arguments) as context:
                result = repository.get_sensor_def(name).evaluate_tick(context)
                return f"{len(result.run_requests or [])} runs; {result.skip_message or ''}"

        def schedule() -> str:
            with dg.build_schedule_context(**context_arguments) as context:
                result = repository.get_schedule_def(name).evaluate_tick(context)
                return f"{len(result.run_requests or [])} runs; {result.skip_message or ''}"

        ticks: dict[str, Callable[[], str]] = {
            "nothing": lambda: "",
            "document_intake": sensor,
            "nightly_catch_up": schedule,
        }
        started = time.perf_counter()
        remark = ticks[name]()
        seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "remark": remark}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--tick"]:
        evaluate(sys.argv[2])
    else:
        main()
