"""The lines of the files of a batch job in OpenAI's protocol: pure.

What belongs here: the file that is uploaded, and the files with the results. What does not: the
requests (`providers.openai_batches`), or what becomes of the results (`batch_jobs`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from tvdb_assets.embedding.batch_service import BatchResults
from tvdb_assets.embedding.response_decoding import decode

_NOT_IN_TIME = frozenset({"batch_expired", "batch_cancelled"})


def write_lines(texts: Mapping[bytes, str], endpoint: str, body: Mapping[str, Any]) -> bytes:
    """A line for each text, which the hash of the text names.

    Args:
        texts: by sha256.
        endpoint: of each request.
        body: of each request, without its text.
    """
    return b"".join(
        orjson.dumps(
            {
                "custom_id": sha256.hex(),
                "method": "POST",
                "url": endpoint,
                "body": {**body, "input": text},
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for sha256, text in texts.items()
    )


def read_lines(files: Sequence[bytes], known: Collection[bytes], dimensions: int) -> BatchResults:
    """The results in the files of a job, in any order.

    Args:
        files: as downloaded.
        known: sha256 of the texts of the job. Lines of others are ignored, as are further lines of
            a text that is done.
        dimensions: of each vector.
    """
    results = BatchResults()
    expected = {sha256.hex(): sha256 for sha256 in known}
    for line in (line for file in files for line in file.splitlines() if line.strip()):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            results.is_cut = True
            continue
        name = row.get("custom_id") if isinstance(row, dict) else None
        sha256 = expected.get(name) if isinstance(name, str) else None
        if sha256 is not None and sha256 not in results.tokens:
            _read(row, sha256, dimensions, results)
    return results


def _read(row: dict[str, Any], sha256: bytes, dimensions: int, results: BatchResults) -> None:
    response, error = row.get("response"), row.get("error")
    if isinstance(error, dict) and error.get("code") in _NOT_IN_TIME:
        results.expired.add(sha256)
        return
    if not isinstance(response, dict) or response.get("status_code") != 200:
        results.refused.add(sha256)
        return
    results.refused.discard(sha256)
    results.expired.discard(sha256)
    try:
        body = orjson.dumps(response.get("body"))
        vectors, tokens, _ = decode(body, 1, dimensions, is_strict=False)
    except ValueError:
        # It was done, and so billed, but there is no vector in it.
        results.tokens[sha256] = None
        return
    results.vectors[sha256] = vectors[0]
    results.tokens[sha256] = tokens
