"""Ingestions in several processes that share one budget and the same texts.

What belongs here: interference between them. What does not: a single ingestion that is killed
(`test_ingestion_kills`).
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.integration.ingestion_processes import (
    ProcessSettings,
    register,
    run_process,
)
from tvdb_assets_tests.paid_apis import Behaviour, RunningServer, running_server
from tvdb_assets_tests.spend_guard.ledger_invariants import (
    check_counters,
    ledger_usd,
    rows,
    settle_by,
)
from tvdb_assets_tests.spend_guard.processes import KILLED, ended, start

PROCESSES = 8


def billed(server: RunningServer) -> Counter[str]:
    return Counter(digest for charge in server.apis.charges for digest in charge.sha256)


def write_clauses(folder: Path, count: int) -> list[str]:
    """Documents of three texts each, one of which ten documents share."""
    folder.mkdir()
    names = [f"{number:03}.md" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).write_text(
            f"# One\n\nThe insured of policy {number} pays {number + 7} euros a month, and is "
            f"told so in time.\n\n# Two\n\nDamage by water up to floor {number} is covered, as "
            f"long as it is told of within {number + 3} days.\n\n# Three\n\nThe office in house "
            f"{number // 10} answers letters about all of that within two weeks of their arrival.\n"
        )
    return names


def test_a_budget_limit_is_kept_and_the_other_documents_resume_later(
    database: Database, tmp_path: Path, is_full: bool
) -> None:
    folder = tmp_path / "documents"
    names = write_clauses(folder, 500 if is_full else 160)
    register(database, folder)
    with running_server() as server:

        def start_one(paths: tuple[str, ...], daily_usd: Decimal) -> BaseProcess:
            return start(
                run_process,
                ProcessSettings(
                    database.url,
                    str(folder),
                    server.url,
                    paths=paths,
                    batch_documents=8,
                    inputs=16,
                    daily_usd=daily_usd,
                ),
            )

        # Until it is known how the service counts, each request reserves several times its cost.
        # That of others would leave no room for the first requests of some.
        first = len(names) // 4
        assert ended(start_one(tuple(names[:first]), Decimal(5))) == 0
        limit = server.apis.dollars + Decimal("0.0000006") * (len(names) - first)  # about half

        def ingest_everywhere(daily_usd: Decimal) -> list[int]:
            shares = [tuple(names[first + place :: PROCESSES]) for place in range(PROCESSES)]
            return [ended(process) for process in [start_one(one, daily_usd) for one in shares]]

        assert ingest_everywhere(limit) == [0] * PROCESSES

        # At most the limit, and nearly all of it: the rest is less than the cost of a text.
        assert limit * Decimal("0.97") < server.apis.dollars <= limit
        assert ledger_usd(database) == server.apis.dollars
        check_counters(database)
        stored = {row[0].hex() for row in rows(database, "SELECT text_sha256 FROM tvdb.embeddings")}
        assert stored == set(billed(server))
        ended_as = rows(
            database,
            "SELECT status, error_code, count(*)::int FROM tvdb.documents GROUP BY 1, 2 ORDER BY 1",
        )
        assert [row[:2] for row in ended_as] == [
            ("deferred", "budget_exhausted"),
            ("published", None),
        ]
        assert all(count > len(names) // 10 for *_, count in ended_as)

        assert ingest_everywhere(Decimal(5)) == [0] * PROCESSES

        assert rows(database, "SELECT DISTINCT status FROM tvdb.documents") == [("published",)]
        assert max(billed(server).values()) == 1
        assert ledger_usd(database) == server.apis.dollars > limit
        settle_by(database, server.apis.charges)


def test_no_two_processes_pay_for_one_text(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    names = [f"{number}.md" for number in range(PROCESSES)]
    for name in names:
        paragraphs = "\n\n".join(
            f"# Part {i}\n\nClause {i} holds for every policy, whoever wrote it, and whenever."
            for i in range(20)
        )
        (folder / name).write_text(f"{paragraphs}\n\n# End\n\nOnly document {name} says this.\n")
    register(database, folder)
    # Slow enough that all processes need the same texts during the first request.
    with running_server(Behaviour(latency_seconds=0.2)) as server:
        trips = [
            ProcessSettings(database.url, str(folder), server.url, paths=(name,)) for name in names
        ]
        processes = [start(run_process, process_settings) for process_settings in trips]

        assert [ended(process) for process in processes] == [0] * PROCESSES

        assert set(billed(server).values()) == {1}
        ((shared, texts),) = rows(
            database, "SELECT count(*) - count(DISTINCT text_sha256), count(*) FROM tvdb.chunks"
        )
        assert shared > texts / 2
        assert len(billed(server)) == texts - shared
        assert rows(database, "SELECT DISTINCT status FROM tvdb.documents") == [("published",)]
        assert ledger_usd(database) == server.apis.dollars


def test_the_texts_of_a_killed_process_are_taken_over(database: Database, tmp_path: Path) -> None:
    """The next ingestion has other batches, as after a crash."""
    folder = tmp_path / "documents"
    names = write_clauses(folder, 12)
    register(database, folder)
    with running_server() as server:
        killed = ProcessSettings(
            database.url, str(folder), server.url, "texts_claimed", 1, paths=tuple(names[4:8])
        )
        assert ended(start(run_process, killed)) == KILLED
        assert rows(database, "SELECT count(*) > 0 FROM tvdb.text_claims") == [(True,)]

        everything = ProcessSettings(database.url, str(folder), server.url, batch_documents=12)
        assert ended(start(run_process, everything)) == 0

        assert rows(database, "SELECT DISTINCT status FROM tvdb.documents") == [("published",)]
        assert set(billed(server).values()) == {1}


@pytest.mark.parametrize("ingestions", [1, 3])
def test_the_same_bytes_under_three_names_are_parsed_for_money_once(
    database: Database, tmp_path: Path, ingestions: int
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    names = ("a.html", "b.html", "copy/c.html")
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(
            "<html><body><p>The same page, wherever it is.</p></body></html>"
        )
    register(database, folder)
    with running_server(Behaviour(latency_seconds=0.1)) as server:
        trips = [
            ProcessSettings(database.url, str(folder), server.url, paths=names[place::ingestions])
            for place in range(ingestions)
        ]
        assert [
            ended(ingestion)
            for ingestion in [start(run_process, process_settings) for process_settings in trips]
        ] == [0] * ingestions

        submitted = [r for r in server.apis.requests if r.operation == "submit"]
        assert len(submitted) == 1
        assert rows(database, "SELECT DISTINCT status FROM tvdb.documents") == [("published",)]
        assert ledger_usd(database) == server.apis.dollars


def test_a_submitted_job_is_awaited_by_the_next_ingestion(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.html").write_text("<html><body><p>Worth its money.</p></body></html>")
    register(database, folder)
    with running_server() as server:
        killed = ProcessSettings(database.url, str(folder), server.url, "before_poll")
        assert ended(start(run_process, killed)) == KILLED
        ((state, held),) = rows(database, "SELECT state, job_id IS NOT NULL FROM tvdb.cost_ledger")
        assert (state, held) == ("pending", True)

        assert (
            ended(start(run_process, ProcessSettings(database.url, str(folder), server.url))) == 0
        )

        submitted = [r for r in server.apis.requests if r.operation == "submit"]
        assert len(submitted) == 1
        assert rows(database, "SELECT status FROM tvdb.documents") == [("published",)]
        assert ledger_usd(database) == server.apis.dollars
        settle_by(database, server.apis.charges)
