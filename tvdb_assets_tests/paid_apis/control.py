"""Steering a server that runs as a separate process, over the same port.

What belongs here: ``GET /_log``, ``POST /_faults`` and ``POST /_reset``. They need no key,
take no time and are not logged. A test in the same process uses `PaidApis` itself.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any

from tvdb_assets_tests.paid_apis.core import PaidApis
from tvdb_assets_tests.paid_apis.replies import Reply


def control(apis: PaidApis, method: str, path: str, body: bytes) -> Reply | None:
    """The answer to a request that steers; None if it is one for the APIs."""
    match (method, path):
        case ("GET", "/_log"):
            return _answer(200, log(apis))
        case ("POST", "/_faults"):
            return _attempt(apis, body, _set_faults)
        case ("POST", "/_reset"):
            return _attempt(apis, body, _reset)
    return None


def log(apis: PaidApis) -> dict[str, Any]:
    """Both logs and their totals, as plain values; dollars are decimal strings."""
    charges = [{**asdict(charge), "dollars": str(charge.dollars)} for charge in apis.charges]
    requests = [asdict(request) for request in apis.requests]
    return {"charges": charges, "requests": requests, "counters": apis.charge_record.counters()}


def _set_faults(apis: PaidApis, given: dict[str, Any]) -> None:
    """``{"clear": true, "script": [{…}], "rates": [{"rates": {…}, …}]}``, each optional."""
    if given.pop("clear", False):
        apis.faults.clear()
    for entry in given.pop("script", []):
        apis.faults.script(**entry)
    for entry in given.pop("rates", []):
        apis.faults.set_rates(**entry)
    if given:
        raise ValueError(f"unknown: {sorted(given)}")


def _reset(apis: PaidApis, given: dict[str, Any]) -> None:
    """Forget everything; what is given replaces that part of the behaviour."""
    known = {field.name for field in fields(apis.behaviour)}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"unknown: {unknown}")
    if given.get("keys") is not None:
        given["keys"] = frozenset(given["keys"])
    apis.behaviour = replace(apis.behaviour, **given)
    apis.reset()


def _attempt(apis: PaidApis, body: bytes, change: Any) -> Reply:
    try:
        given = json.loads(body or b"{}")
        if not isinstance(given, dict):
            raise ValueError("a JSON object is expected")
        change(apis, given)
    except (ValueError, TypeError) as error:
        return _answer(400, {"error": str(error)})
    return _answer(200, {})


def _answer(status: int, document: object) -> Reply:
    return Reply(status, (("content-type", "application/json"),), (json.dumps(document).encode(),))
