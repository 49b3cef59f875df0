"""Long forms of `test_budget_halts`, started manually, because they take minutes.

``python -m tvdb_assets_tests.integration.budget_halts_campaign 300`` takes 300 documents through
three windows. ``… 300 --seeds 0 10`` does so ten times while run workers and the daemon are killed
at random moments. Each prints a line and exits with 1 if a claim fails.

What belongs here: the kills, and their permitted effects. A request that is in flight when its
worker is killed is billed, but nobody reads its answer. So a text may be paid again, once for each
request that was in flight at a kill. The sum stays within the limit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import dagster as dg

from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets_tests.integration.budget_halts import (
    BudgetHaltProject,
    backfill_status,
    is_idle,
    new_database,
)
from tvdb_assets_tests.paid_apis import Behaviour, running_server

KILLS_A_WINDOW = 2
_WINDOWS_AT_MOST = 8
"""Three without kills. Requests that were lost with a worker are paid again in a later window."""


def main() -> None:
    """Run the campaigns of the command line; exit with 1 if one fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("documents", type=int)
    parser.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "LAST"))
    given = parser.parse_args()
    # A terminated campaign still stops the processes that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seeds = [None] if given.seeds is None else list(range(*given.seeds))
    held = [_one(given.documents, seed) for seed in seeds]
    sys.exit(not all(held))


def _one(documents: int, seed: int | None) -> bool:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        server = stack.enter_context(running_server(Behaviour(latency_seconds=1.0)))
        postgres = EmbeddedPostgres(folder / "postgres")
        stack.callback(postgres.stop)
        url = stack.enter_context(new_database(postgres.ensure_running(), "halts_by_hand"))
        project = BudgetHaltProject(folder / "project", url, server, documents)
        stack.callback(project.end)
        steering = ("TVDB_", "DAGSTER", "OPENAI", "LLAMA")
        os.environ.update({k: v for k, v in project.environment.items() if k.startswith(steering)})
        with project.instance() as instance:
            return _run_campaign(project, instance, seed)


def _run_campaign(
    project: BudgetHaltProject, instance: dg.DagsterInstance, seed: int | None
) -> bool:
    started = time.monotonic()
    chance = random.Random(seed)
    backfill_id = project.backfill(instance, project.register(instance))
    project.start_daemon()
    killed: list[str] = []
    window, most = 1, project.limit
    billed = []
    while True:
        if seed is not None and window <= 3:
            killed += [_kill(project, chance) for _ in range(KILLS_A_WINDOW)]
        project.until(lambda: _is_halted(project) and is_idle(instance), 600)
        billed.append(project.paid()[0] - sum(billed))
        done = project.statuses() == {"published": project.documents}
        if done or window == _WINDOWS_AT_MOST:
            break
        project.turn_window(window)
        window += 1
    project.until(lambda: backfill_status(instance, backfill_id).value.startswith("COMPLETED"), 120)
    status = backfill_status(instance, backfill_id).value
    failed = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    twice = project.paid()[1]
    over = [str(usd) for usd in billed if usd > most]
    is_ok = done and not over and status == "COMPLETED_SUCCESS"
    if seed is None:
        is_ok = is_ok and not failed and not twice and window == 3
    print(
        f"seed {seed}: {'holds' if is_ok else 'FAILS'}; {window} windows, billed "
        f"{[f'{usd:f}' for usd in billed]} of {most:f} each, texts twice {twice}, "
        f"runs failed {failed}, killed {killed}, backfill {status}, {project.statuses()}, "
        f"{time.monotonic() - started:.0f} s",
        flush=True,
    )
    return is_ok


def _is_halted(project: BudgetHaltProject) -> bool:
    """Whether every document is published, or was deferred in the current budget day."""
    return project.settled_in_this_window() == project.documents


def _kill(project: BudgetHaltProject, chance: random.Random) -> str:
    """Kill a run worker or the daemon at a random moment of the next seconds."""
    threading.Event().wait(chance.uniform(0.5, 12.0))
    workers = project.run_workers()
    if workers and chance.random() < 0.6:
        # The process may have ended in the meantime.
        with suppress(ProcessLookupError):
            os.kill(chance.choice(workers), signal.SIGKILL)
            return "worker"
        return "nothing"
    project.kill_daemon()
    project.start_daemon()
    return "daemon"


if __name__ == "__main__":
    main()
