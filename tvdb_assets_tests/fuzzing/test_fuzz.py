"""A few hundred of the files that ``make fuzz`` makes, the same ones each time."""

from __future__ import annotations

import pytest

from tvdb_assets_tests.fuzzing.fuzz import check, damaged


@pytest.mark.parametrize("start", range(0, 240, 40))
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_end_as_text_or_a_code(start: int) -> None:
    ended = {check(*damaged(seed)) for seed in range(start, start + 40)}
    assert "text" in ended
    assert len(ended) > 1
