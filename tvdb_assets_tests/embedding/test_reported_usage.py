"""What a service reports as its usage, and what is posted of it.

What belongs here: reports that can't be right. What does not: responses that can't be used
(`test_paid_failures`).
"""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from tvdb_assets.spend_guard.token_ratio import TokenBound
from tvdb_assets_tests.paid_router import FixedResponse, FixedResponses, PaidServicesFixture

TEXT = "Is flood damage covered?"
COUNTED = 5
MOST = TokenBound.of(TEXT, COUNTED).most
NO_NUMBERS = (None, -1, -0.5, 10**15, 1e300, True, "many", "", [COUNTED], {})
OTHER_MODEL = {"embedding_model": "a-model-of-another-server", "embedding_usd_per_million": "0.02"}


@pytest.mark.parametrize(
    ("model", "reported", "posted"),
    [
        ({}, 0, COUNTED),
        ({}, COUNTED - 1, COUNTED),
        ({}, COUNTED, COUNTED),
        ({}, COUNTED + 1, COUNTED + 1),
        ({}, COUNTED + 0.5, COUNTED + 1),
        ({}, str(COUNTED + 2), COUNTED + 2),
        *(({}, report, COUNTED) for report in NO_NUMBERS),
        (OTHER_MODEL, COUNTED - 1, COUNTED - 1),
        (OTHER_MODEL, 50 * COUNTED, 50 * COUNTED),
        (OTHER_MODEL, 0, MOST),
        (OTHER_MODEL, 1, MOST),
        *((OTHER_MODEL, report, MOST) for report in NO_NUMBERS),
    ],
)
def test_spend_is_never_posted_below_what_can_be_true(
    paid_in_shared: PaidServicesFixture, model: dict[str, object], reported: object, posted: int
) -> None:
    paid = paid_in_shared
    vector = base64.b64encode(np.full(8, 0.5, "<f4").tobytes()).decode()
    body = {
        "data": [{"index": 0, "embedding": vector}],
        "usage": {} if reported is None else {"total_tokens": reported},
    }
    headers = {"content-type": "application/json"}
    paid.transport = FixedResponses(FixedResponse(200, json.dumps(body).encode(), headers))

    paid.use(lambda router: router.embed([TEXT]), embedding_dimensions=8, **model)

    assert paid.rows("SELECT quantity::int FROM tvdb.cost_ledger") == [(posted,)]
    assert paid.rows("SELECT posted_usd = quantity * unit_usd FROM tvdb.cost_ledger") == [(True,)]
