"""What of a response of OpenAI's embeddings API is used, and what of it is not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tvdb_assets.embedding.response_decoding import NoUsableVectorError, decode

_BAD: dict[str, Any] = {
    "shorter": [1.0],
    "longer": [1.0, 2.0, 3.0],
    "missing": None,
    "words": ["a", "b"],
    "no base64": "\u00e9",
    "an object": {},
}


def body(*vectors: Any) -> bytes:
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return json.dumps({"data": data, "usage": {"total_tokens": 9}}).encode()


@pytest.mark.parametrize("bad", _BAD.values(), ids=_BAD)
def test_a_vector_that_can_not_be_used_spoils_no_other_one(bad: Any) -> None:
    vectors, tokens, unusable = decode(body([1.0, 2.0], bad, [3.0, 4.0]), 3, 2)

    np.testing.assert_array_equal(vectors[[0, 2]], [[1.0, 2.0], [3.0, 4.0]])
    assert (tokens, list(unusable)) == (9, [1])
    assert np.isnan(vectors[1]).all()


@pytest.mark.parametrize("bad", _BAD.values(), ids=_BAD)
def test_a_response_without_any_usable_vector_is_refused(bad: Any) -> None:
    with pytest.raises(NoUsableVectorError):
        decode(body(bad, bad), 2, 2)
