"""100,000 documents: what looks at all of them must stay quick, and small.

Prints a table; asserts nothing, as machines are noisy. The documents are small, real files,
taken in and walked by the project itself with the local embedder, which is most of the time.
Then, each in a process of its own, whose start is shown by itself:

- *intake tick*: `document_intake` with nothing changed; and with 1,000 files changed, 1,000
  new and 1,000 gone, as far apart as can be.
- *catch-up planning*: `nightly_catch_up` with nothing due; and with a tenth of all stale.
- *status*: `tvdb status`.
- *search*: `tvdb search`, whose first use loads the embedder.

Usage: python benchmarks/scale.py [DOCUMENTS] [FOLDER]; a FOLDER is kept, and used again.
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

from rich.console import Console
from rich.table import Table
from walk import BIN, run

DOCUMENTS = 100_000
_A_FOLDER = 1_000


def main() -> None:
    """Prepare, measure and print."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS
    if len(sys.argv) > 2:
        measure(Path(sys.argv[2]).absolute(), documents)
    else:
        with tempfile.TemporaryDirectory(prefix="tvdb-scale-") as folder:
            measure(Path(folder), documents)


def measure(folder: Path, documents: int) -> None:
    """Take all documents in, then time each look at them."""
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
    table = Table("What", "seconds", "peak MiB", "remark", box=None, padding=(0, 2, 0, 0))

    def row(what: str, *command: str) -> None:
        seconds, peak, remark = timed([*command], environment)
        table.add_row(what, f"{seconds:.1f}", f"{peak:.0f}", remark)
        Console(stderr=True).print(f"{what}: {seconds:.1f} s, {peak:.0f} MiB, {remark}")

    look = (sys.executable, __file__, "--look")
    row("taking all in", str(BIN / "tvdb"), "ingest", "--json")
    row("a process with Dagster", *look, "nothing")
    row("intake tick, nothing changed", *look, "document_intake")
    row("catch-up planning, nothing due", *look, "nightly_catch_up")
    row("tvdb status", str(BIN / "tvdb"), "status", "--json")
    row("tvdb search", str(BIN / "tvdb"), "search", "--json", "the matter of series 77")
    step = max(1, documents // 1_000)
    for number in range(0, documents, step):
        write(source, number, "as it reads now")
        write(source, documents + number, "as it was added")
        path_of(source, number + step // 2).unlink(missing_ok=True)
    row("intake tick, 3,000 changes far apart", *look, "document_intake")
    environment["TVDB_CHUNK_TOKENS"] = "500"
    row("catch-up planning, all stale", *look, "nightly_catch_up")
    Console().print(table)
    subprocess.run([str(BIN / "tvdb"), "stop"], env=environment, check=True, capture_output=True)


def path_of(source: Path, number: int) -> Path:
    """Where a document is; a thousand are in one folder."""
    return source / f"{number // _A_FOLDER:04}" / f"note-{number:06}.md"


def write(source: Path, number: int, words: str) -> None:
    """A document that is like no other."""
    path = path_of(source, number)
    text = f"# Note {number}\n\nThe matter of series {number} is settled {words}.\n"
    if not path.exists() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Seconds and peak MiB of a process, and what its JSON says."""
    seconds, peak, out = run(command, environment)
    said = json.loads(out.strip().splitlines()[-1])
    if "--look" in command:
        # Without its imports, which the row of a process with Dagster has.
        seconds = said["seconds"]
    return seconds, peak, said.get("remark") or ", ".join(told(said.get("documents", {})))


def told(counts: dict[str, int]) -> list[str]:
    """Counts in words."""
    return [f"{count:,} {name}" for name, count in counts.items() if count]


def look(what: str) -> None:
    """One look, in this process: its own seconds, without imports, and all of its memory."""
    import dagster as dg

    from tvdb_assets.dagster.storage.home import dagster_instance
    from tvdb_assets.definitions import defs
    from tvdb_assets.settings import load_settings

    with dagster_instance(load_settings()) as instance:
        loaded = defs()
        repository = loaded.get_repository_def()
        given = {
            "instance": instance,
            "repository_def": repository,
            "resources": dict(loaded.resources or {}),
        }

        def sensor() -> str:
            with dg.build_sensor_context(**given) as context:
                done = repository.get_sensor_def(what).evaluate_tick(context)
                return f"{len(done.run_requests or [])} runs; {done.skip_message or ''}"

        def schedule() -> str:
            with dg.build_schedule_context(**given) as context:
                done = repository.get_schedule_def(what).evaluate_tick(context)
                return f"{len(done.run_requests or [])} runs; {done.skip_message or ''}"

        looks: dict[str, Callable[[], str]] = {
            "nothing": lambda: "",
            "document_intake": sensor,
            "nightly_catch_up": schedule,
        }
        started = time.perf_counter()
        remark = looks[what]()
        seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "remark": remark}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--look"]:
        look(sys.argv[2])
    else:
        main()
