"""Who may use the service: the address that it listens on, the token, and browsers' requests.

What belongs here: the decision before a request is answered. What does not: the answers (`api`,
`page`), or the rules against pages of other sites (`request_origins`).

On a loopback address the service needs no token, and answers under names of this machine only. On
any other address it does not start without one. A program sends the token in ``Authorization``. A
person enters it once; the browser then has a cookie, which is signed with the token and expires.
"""

from __future__ import annotations

import hmac
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv6Address, ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import TvdbError
from tvdb_assets.request_origins import OriginRules
from tvdb_assets.serve.problems import problem

COOKIE: Final = "tvdb_session"
SESSION_SECONDS: Final = 12 * 3600
MAX_BODY_BYTES: Final = 64 * 1024
_PUBLIC: Final = frozenset({"/health", "/login", "/static/style.css"})
"""Paths that reveal nothing and are answered without a token."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket, and whether other machines can reach it."""

    socket: socket.socket
    url: str
    is_loopback: bool


def listen(host: str, port: int, token: str | None) -> Listener:
    """Bind the address that the service listens on.

    The address is resolved once, so that what is checked is what is bound.

    Args:
        host: a name or an address of this machine.
        port: 0 chooses a free one.
        token: the token of the service; None needs a loopback address.

    Raises:
        ConfigurationError: other machines reach the address and there is no token, or it can't be
            bound.
    """
    shown = f"{host or '*'}:{port}"
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise codes.ADDRESS_UNUSABLE.error(address=shown, why=type(error).__name__) from None
    family, kind, protocol, _, address = found[0]
    is_loopback = _is_loopback(str(address[0]))
    if not is_loopback and token is None:
        raise codes.TOKEN_REQUIRED.error(address=shown)
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise codes.ADDRESS_UNUSABLE.error(
            address=shown, why=error.strerror or type(error).__name__
        ) from None
    name = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
    return Listener(bound, f"http://{name}:{bound.getsockname()[1]}", is_loopback)


def _is_loopback(address: str) -> bool:
    parsed = ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


class Token:
    """The secret of the service."""

    def __init__(self, secret: str) -> None:
        """Take the secret of the settings."""
        self._digest = sha256(secret.encode()).digest()

    def is_equal(self, given: str) -> bool:
        """Compare in a time that does not depend on the values."""
        digest = sha256(given.encode("utf-8", "surrogatepass")).digest()
        return hmac.compare_digest(digest, self._digest)

    def new_session(self) -> str:
        """The value of the cookie of a person who entered the token."""
        until = str(int(time.time()) + SESSION_SECONDS)
        return f"{until}.{self._signature(until)}"

    def is_session(self, cookie: str) -> bool:
        """Whether this token signed the cookie, and it has not expired."""
        until, _, signature = cookie.partition(".")
        is_signed = hmac.compare_digest(signature.encode(), self._signature(until).encode())
        return is_signed and until.isdecimal() and int(until) > time.time()

    def _signature(self, until: str) -> str:
        return hmac.new(self._digest, f"session {until}".encode(), sha256).hexdigest()


class AccessControl:
    """ASGI middleware that answers requests itself that are not authorized or too large."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        rules: OriginRules,
        token: Token | None,
        pages: Collection[str] = (),
    ) -> None:
        """Wrap an application.

        Args:
            app: answers the requests that are allowed.
            rules: the rules for requests of browsers.
            token: None allows every request that keeps the rules.
            pages: paths of pages for people, who are sent to ``/login`` instead of an error.
        """
        self._pages = frozenset(pages)
        self._app = app
        self._rules = rules
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refused: TvdbError | None = None
        status = 403
        if (why := self._rules.refusal(scope)) is not None:
            refused = codes.REQUEST_FOREIGN.error(why=why)
        elif (why := _bad_length(headers)) is not None:
            refused, status = codes.REQUEST_INVALID.error(problems=why), 413
        elif scope["path"] not in _PUBLIC and not self._is_authorized(headers):
            if scope["method"] == "GET" and scope["path"] in self._pages:
                await _redirect_to_login(scope, receive, send)
                return
            refused, status = codes.TOKEN_WRONG.error(), 401
        if refused is None:
            await self._app(scope, receive, send)
            return
        response = problem(refused, status)
        if status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        await response(scope, receive, send)

    def _is_authorized(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme:
            return scheme.casefold() == "bearer" and self._token.is_equal(given.strip())
        cookie = _cookie(headers)
        return cookie is not None and self._token.is_session(cookie)


def _cookie(headers: Headers) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None


def _bad_length(headers: Headers) -> str | None:
    """Why the body of a request is refused before it is read; None if it is not."""
    if "transfer-encoding" in headers:
        return "it does not state the length of its body"
    length = headers.get("content-length", "0")
    is_short = length.isdecimal() and int(length) <= MAX_BODY_BYTES
    return None if is_short else f"it is longer than {MAX_BODY_BYTES:,} bytes"


async def _redirect_to_login(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    start: Message = {
        "type": "http.response.start",
        "status": 303,
        "headers": [(b"location", b"/login"), (b"content-length", b"0")],
    }
    await send(start)
    await send({"type": "http.response.body", "body": b""})
