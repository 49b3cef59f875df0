"""The metadata that every framework receives with a passage, and the error without a framework.

What belongs here: what the retrievers have in common. What does not: types of a framework.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tvdb_assets import error_codes as codes
from tvdb_assets.retrieval.results import Hit, SearchResult


def hit_metadata(hit: Hit, result: SearchResult) -> dict[str, Any]:
    """The fields of a result other than its text, as values of JSON."""
    fields = asdict(hit)
    del fields["text"]
    return fields | {"is_confident": result.is_confident}


def missing_extra(error: ModuleNotFoundError, package: str, extra: str) -> Exception:
    """The error for a framework that is not installed; another missing module stays as it is."""
    if (error.name or "").partition(".")[0] != package:
        return error
    feature = f"tvdb_assets.integrations.{extra.replace('-', '_')}"
    return codes.EXTRA_MISSING.error(feature=feature, package=package, extra=extra)
