"""Services that cost money say so by their type, and send nothing without the guard's permit.

What belongs here: the base class of all clients of paid services, the permit that each of their
requests needs, and the check that nothing with a price is called as if it were free. What does
not: what a service does (`embedding`, `parsing`), or when a permit is given (`guard`).

Two walls stand between a priced object and an unrecorded request:

- A `PaidService` sends only with a `RequestPermit`. The guard issues one for each request, after
  the reservation. Code that has such a client but no permit can't send anything.
- The free path refuses every object that has a price, or contains such an object: see
  `ensure_free`. This also finds clients that don't derive from `PaidService`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import FunctionType, MemberDescriptorType, MethodType
from typing import ClassVar, final

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.spend_guard.paid_call import ServiceResponse
from tvdb_assets.spend_guard.prices import Price

_DEEPEST = 6
"""How many objects deep a free client is searched for a priced one."""


@final
class RequestPermit:
    """The guard's permission to send one request to one service. Only `Guard` makes one."""

    __slots__ = ("_is_used", "_request_id", "is_paid", "service")

    def __init__(self, service: str, request_id: str, *, is_paid: bool) -> None:
        """Not used yet.

        Args:
            service: that the request goes to, as the ledger names it.
            request_id: to be sent along, so that both sides' records can be joined.
            is_paid: whether the request has a reservation; False allows a poll or a probe.
        """
        self.service = service
        self.is_paid = is_paid
        self._request_id = request_id
        self._is_used = False

    def use(self, service: str, *, is_paid: bool) -> str:
        """The request id, once.

        Raises:
            ConfigurationError: it was used before, is for another service, or has no reservation
                though the request costs money.
        """
        if self._is_used or self.service != service or (is_paid and not self.is_paid):
            raise _bypasses_guard(service)
        self._is_used = True
        return self._request_id


class PaidService(ABC):
    """A client of a service that costs money.

    Subclasses implement the methods with a leading underscore. Each is called by a final method
    of the same name, which asks for the guard's permit first.
    """

    _needs_permit: ClassVar[frozenset[str]] = frozenset({"probe"})
    """Methods that subclasses must not replace."""

    service: str
    """Its name in the ledger, in limits and in the shared state."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in cls.__mro__[1:]:
            for name in vars(base).get("_needs_permit", ()):
                if name in vars(cls):
                    raise TypeError(
                        f"{cls.__name__} replaces {name}, which asks for the spend guard's "
                        f"permit; implement _{name} instead"
                    )

    @property
    @abstractmethod
    def model(self) -> str:
        """What is priced: a model or a tier."""

    @property
    @abstractmethod
    def price(self) -> Price:
        """Of one unit.

        Raises:
            ConfigurationError: it is not known.
        """

    @property
    @abstractmethod
    def account(self) -> str:
        """Fingerprint of key, server and model: a refusal of the account is remembered by it."""

    @final
    async def probe(self, permit: RequestPermit) -> ServiceResponse[None]:
        """Find out by a free request whether the service answers.

        Raises:
            CallFailed: with its meaning for retry and the service's health.
            ConfigurationError: the permit is not the guard's.
        """
        return await self._probe(self._permitted(permit, is_paid=False))

    @abstractmethod
    async def _probe(self, request_id: str) -> ServiceResponse[None]: ...

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""

    def load(self) -> None:  # noqa: B027 - most clients have nothing to load
        """Load what the first request needs, where that takes long. Runs in its own thread."""

    @final
    def _permitted(self, permit: RequestPermit, *, is_paid: bool) -> str:
        if type(permit) is not RequestPermit:
            raise _bypasses_guard(type(self).__name__)
        return permit.use(self.service, is_paid=is_paid)


def ensure_free(client: object) -> None:
    """Check that calling a client can't cost money, before anything is sent.

    An object has a price if it is a `PaidService`, has an attribute ``price``, or is an embedder
    with ``request`` or a parser with ``submit``. A client has one as well if it contains such
    an object: in an attribute, a container, a closure, or behind a bound method.

    Raises:
        ConfigurationError: it has a price, and this path has no guard.
    """
    for found in _contents(client):
        if _has_price(found):
            raise _bypasses_guard(type(client).__name__)


def ensure_declared(client: object, kind: type) -> None:
    """Check that a client says by its type that it costs money, before it is handed to the guard.

    Raises:
        ConfigurationError: it is no ``kind``, so that it could send without a permit.
    """
    if not isinstance(client, kind):
        raise _bypasses_guard(type(client).__name__)


def _has_price(found: object) -> bool:
    if isinstance(found, PaidService) or _has(found, "price"):
        return True
    is_embedder = _has(found, "space") or _has(found, "embed")
    is_parser = _has(found, "media_types") or _has(found, "parse")
    return (is_embedder and _has(found, "request")) or (is_parser and _has(found, "submit"))


def _has(found: object, name: str) -> bool:
    """Whether it has an attribute; no property is computed, but ``__getattr__`` is asked."""
    kinds = type(found).__mro__
    if name in _attributes(found) or any(name in vars(kind) for kind in kinds):
        return True
    if not any("__getattr__" in vars(kind) for kind in kinds):
        return False
    try:
        getattr(found, name)
    except AttributeError:
        return False
    except Exception:
        return True  # It has the name, even if reading it fails.
    return True


def _attributes(found: object) -> Mapping[str, object]:
    """The attributes of the object itself, read without running its code."""
    try:
        own = object.__getattribute__(found, "__dict__")
    except AttributeError:
        return {}
    return own if isinstance(own, Mapping) else {}


def _contents(client: object) -> Iterator[object]:
    """The client, and all objects that it contains, each once."""
    seen: set[int] = set()
    # The list keeps all of them alive: the id of a deleted object could be used again.
    todo = [(client, 0)]
    for found, depth in todo:
        if id(found) in seen or isinstance(found, str | bytes | int | float | type(None)):
            continue
        seen.add(id(found))
        yield found
        if depth < _DEEPEST:
            todo.extend((inner, depth + 1) for inner in _parts(found))


def _parts(found: object) -> Iterator[object]:
    """The objects that an object contains directly."""
    if isinstance(found, Mapping):
        yield from found.values()
    elif isinstance(found, list | tuple | set | frozenset):
        yield from found
    elif isinstance(found, partial):
        yield from (found.func, *found.args, *found.keywords.values())
    elif isinstance(found, MethodType):
        yield from (found.__self__, found.__func__)
    elif isinstance(found, FunctionType):
        for cell in found.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # It has no value yet.
                continue
        yield from found.__defaults__ or ()
        yield from (found.__kwdefaults__ or {}).values()
    elif not isinstance(found, type):
        yield from _attributes(found).values()
        for kind in type(found).__mro__:
            if kind.__module__ == "builtins":
                continue
            for name, value in vars(kind).items():
                if isinstance(value, MemberDescriptorType):
                    with suppress(AttributeError):  # The slot is empty.
                        yield value.__get__(found)
                elif not name.startswith("__"):
                    yield value


def _bypasses_guard(client: str) -> ConfigurationError:
    return codes.GUARD_BYPASSED.error(client=client)
