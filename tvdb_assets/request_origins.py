"""Which requests of a browser a local service answers: those of its own pages.

What belongs here: the rules for ``Host``, ``Origin`` and ``Sec-Fetch-Site``. What does not: logins
(`serve.access`), or rules that only one service needs (`dagster.ui_requests`).

A page of another site that is open in the same browser can send requests to a service that
listens on 127.0.0.1. These rules stop it:

- The name in ``Host`` is one of this machine, or of a setting. A site whose name was made to
  resolve to 127.0.0.1 (DNS rebinding) has another one.
- ``Origin``, which browsers send with each POST and each websocket, is the service's own.
- ``Sec-Fetch-Site`` says that the request comes from the service itself, or that a person follows
  a link. No other site shows the service in a frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from tvdb_assets.redaction import printable

Scope = MutableMapping[str, Any]
LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?")
_FRAMES = frozenset({"frame", "iframe", "embed", "object", "fencedframe"})
_MAX_SHOWN = 100


class OriginRules:
    """The rules of one service."""

    def __init__(
        self, hosts: Iterable[str] = (), *, what: str, setting: str, checks_host: bool = True
    ) -> None:
        """Nothing is checked yet.

        Args:
            hosts: names under which a proxy offers the service, in addition to those of this
                machine.
            what: the service in messages, e.g. ``UI``.
            setting: the setting that adds names.
            checks_host: False accepts any name, for a service that asks for a token.
        """
        self._hosts = frozenset(host.strip().casefold() for host in hosts if host.strip())
        self._what = what
        self._setting = setting
        self._checks_host = checks_host

    def refusal(self, scope: Scope) -> str | None:
        """Why a request is refused, as a sentence; None if it is answered."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        for name in ("host", "origin", "content-type"):
            if len(headers.get(name, [])) > 1:
                return f"The request has more than one header {name}."
        one = {name: values[0] for name, values in headers.items()}
        return (
            self._foreign_host(one.get("host", ""))
            or self._foreign_origin(one)
            or self._foreign_site(scope, one)
        )

    def _foreign_host(self, host: str) -> str | None:
        if not self._checks_host:
            return None
        named = _HOST.fullmatch(host.casefold())
        if named is not None and (named["name"] in LOCAL_NAMES or named["name"] in self._hosts):
            return None
        return (
            f"The {self._what} is not offered under the name {_shown(host)}. Open it as localhost. "
            f"If a proxy offers it under this name, add the name to {self._setting}."
        )

    def _foreign_origin(self, headers: Mapping[str, str]) -> str | None:
        origin = headers.get("origin")
        if origin is None:
            return None
        try:
            parts = urlsplit(origin.casefold())
            is_own = parts.scheme in ("http", "https") and (
                parts.netloc == headers.get("host", "").casefold()
                or (parts.hostname or "") in self._hosts
            )
        except ValueError:
            is_own = False
        if is_own:
            return None
        return (
            f"A page of {_shown(origin)} may not use the {self._what}. If a proxy offers the "
            f"{self._what} there, add its name to {self._setting}."
        )

    def _foreign_site(self, scope: Scope, headers: Mapping[str, str]) -> str | None:
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return None
        follows_link = (
            scope["type"] == "http"
            and scope["method"] in READING_METHODS
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") not in _FRAMES
        )
        return None if follows_link else f"A page of another site may not use the {self._what}."


def _shown(name: str) -> str:
    return printable(name[:_MAX_SHOWN]) or "(none)"
