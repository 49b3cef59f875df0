"""Under an adversary, nothing is paid twice, nothing is paid without a record, nothing is lost.

With ``--full``: 10 seeds, 30 minutes. The counts are printed; ``-s`` shows them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tvdb_assets_tests.integration.money_campaign import run_campaign

_SEEDS = 10
_FULL_SECONDS = 180.0
_SECONDS = 20.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_full = metafunc.config.getoption("--full")
    metafunc.parametrize("seed", range(_SEEDS if is_full else 1))


@pytest.mark.timeout(600)
def test_money_and_documents_survive_an_adversary(tmp_path: Path, seed: int, is_full: bool) -> None:
    counts = run_campaign(tmp_path, seed, _FULL_SECONDS if is_full else _SECONDS)
    print(f"seed {seed}: {counts}")

    assert counts.without_entry == 0
    assert counts.under_recorded == 0
    assert counts.stored_twice == 0
    assert counts.billed_again == 0
    assert counts.deleted == 0
    assert counts.published == counts.documents > 0
    assert counts.charges > 0
