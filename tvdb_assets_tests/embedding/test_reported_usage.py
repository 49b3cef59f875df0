"""What a service reports as its usage, and what is posted of it.

What belongs here: reports that can't be right. What does not: responses that can't be used
(`test_paid_failures`).
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import httpx2
import numpy as np
import pytest

from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.errors import UnavailableError
from tvdb_assets.spend_guard.token_ratio import TokenBound
from tvdb_assets_tests.paid_router import FixedResponse, FixedResponses, PaidServicesFixture
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters

TEXT = "Is flood damage covered?"
COUNTED = 5
MOST = TokenBound.of(TEXT, COUNTED).most
NO_NUMBERS = (None, -1, -0.5, 10**15, 1e300, True, "many", "", [COUNTED], {})
OTHER_MODEL = {"embedding_model": "a-model-of-another-server", "embedding_usd_per_million": "0.02"}


def response(reported: object) -> FixedResponse:
    """A vector of a text, and a usage that reports so many tokens; None for no usage."""
    vector = base64.b64encode(np.full(8, 0.5, "<f4").tobytes()).decode()
    body = {
        "data": [{"index": 0, "embedding": vector}],
        "usage": {} if reported is None else {"total_tokens": reported},
    }
    headers = {"content-type": "application/json"}
    return FixedResponse(200, json.dumps(body).encode(), headers)


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
    paid.transport = FixedResponses(response(reported))

    paid.use(lambda router: router.embed([TEXT]), embedding_dimensions=8, **model)

    assert paid.rows("SELECT quantity::int FROM tvdb.cost_ledger") == [(posted,)]
    assert paid.rows("SELECT posted_usd = quantity * unit_usd FROM tvdb.cost_ledger") == [(True,)]


@pytest.mark.parametrize(
    "unknown",
    [httpx2.ReadError("cut"), FixedResponse(200, b"{}"), response(None), response(0)],
    ids=["lost", "unusable", "no usage", "usage of 0"],
)
def test_an_unknown_bill_is_posted_at_the_most_whatever_was_learned(
    paid_in_shared: PaidServicesFixture, unknown: FixedResponse | Exception
) -> None:
    """The next bill may be higher than all before; less is reserved, so that the budget is used."""
    paid = paid_in_shared
    text = "The insurer covers damage by water if it was reported. " * 60
    counted = count_tokens(text)
    most = TokenBound.of(text, counted).most
    paid.transport = FixedResponses(response(counted + 1), unknown)
    settings = {**OTHER_MODEL, "embedding_dimensions": 8, "paid_attempts": 1}
    paid.use(lambda router: router.embed([text]), **settings)

    with suppress(UnavailableError):
        paid.use(lambda router: router.embed([f"{text}."]), **settings)

    query = (
        "SELECT (reserved_usd / unit_usd)::int, quantity::int, posted_usd = quantity * unit_usd"
        " FROM tvdb.cost_ledger ORDER BY reserved_at, quantity"
    )
    first, (reserved, posted, is_paid_for) = paid.rows(query)
    assert first == (most, counted + 1, True)
    assert counted < reserved < 0.5 * most
    assert (posted, is_paid_for) == (most + 1, True)
    check_counters(paid.database)
