"""A few hundred files of ``make fuzz`` with fixed seeds."""

from __future__ import annotations

import pytest

from tvdb_assets_tests.fuzzing.fuzz import check, damaged


@pytest.mark.parametrize("start", range(0, 240, 40))
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_give_text_or_a_code(start: int) -> None:
    results = {check(*damaged(seed)) for seed in range(start, start + 40)}
    assert "text" in results
    assert len(results) > 1
