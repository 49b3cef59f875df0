"""The demo: documents are ingested and searched, in a database of the demo's own.

Run by ``make demo``. The index and the settings of the project are not used, so that no document of
the demo is ever found among a user's own, and no paid service is called. It prints the summary of
the ingestion, four searches, and how to open the UI. It exits with 0 only if the results are
correct: two known failures, and the right first hit of each search.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
HOME = FOLDER / ".tvdb"
TVDB = str(Path(sys.executable).with_name("tvdb"))
REFUSED = {
    "broken/corrupt-policy.pdf": "corrupt",
    "broken/encrypted-policy.pdf": "encrypted",
}
SEARCHES = {
    "Is flood damage covered?": "policies/homeowners-policy.pdf",
    "What is the windscreen excess?": "policies/motor-policy.pdf",
    "What does endorsement NM-FL 01 change?": "scans/scanned-endorsement.pdf",
    "How soon must I report lost luggage to the airline?": "policies/travel-policy.docx",
}


def main() -> int:
    """Run the demo; returns the exit code."""
    # The working folder too: a `.env` at the top of the clone is the user's own.
    os.chdir(FOLDER)
    for name in [name for name in os.environ if name.upper().startswith("TVDB_")]:
        del os.environ[name]
    os.environ |= {"DAGSTER_HOME": str(HOME), "TVDB_SOURCE": str(FOLDER / "documents")}
    print("$ tvdb ingest", flush=True)
    code = subprocess.run([TVDB, "ingest"], check=False).returncode
    failed = {f["document"]: f["code"] for f in _json("ingest")["failures"]}
    problems = []
    if code != 1 or failed != REFUSED:
        problems.append(f"expected only these documents to fail: {REFUSED}, not {failed}")
    for query, document in SEARCHES.items():
        print(f'\n$ tvdb search "{query}" -k 1', flush=True)
        subprocess.run([TVDB, "search", query, "-k", "1"], check=True)
        found = _json("search", query)["results"]
        if not found or found[0]["document"] != document:
            problems.append(f"expected {document} first for: {query}")
    if problems:
        print("\nThe results of the demo are wrong:", *problems, sep="\n- ", file=sys.stderr)
        return 1
    print(
        "Two documents fail on purpose: one is encrypted, and one is damaged.\n"
        "All others are in the index, including the scan, whose text was read by OCR.\n\n"
        "The demo has its own index. To use it:\n"
        "  export DAGSTER_HOME=demo/.tvdb TVDB_SOURCE=demo/documents\n"
        "  .venv/bin/tvdb dev                       the Dagster UI, on 127.0.0.1:3000\n"
        '  .venv/bin/tvdb search "your question"    search\n'
        "  .venv/bin/tvdb stop                      stop the database server"
    )
    return 0


def _json(*arguments: str) -> dict[str, list[dict[str, str]]]:
    command = [TVDB, arguments[0], "--json", *arguments[1:]]
    document: dict[str, list[dict[str, str]]] = json.loads(
        subprocess.run(command, check=False, capture_output=True, text=True).stdout
    )
    return document


if __name__ == "__main__":
    sys.exit(main())
