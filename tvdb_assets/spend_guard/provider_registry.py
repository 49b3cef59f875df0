"""Providers by name: each is declared in one module, and found there.

What belongs here: finding the modules of a package that declare providers, and looking one up.
What does not: any provider, or the choice of one by mode (`embedding.registry`,
`parsing.registry`).

A module declares its providers in ``PROVIDERS``. Adding a provider is adding such a module: names
of services, limits and prices are read from there and stand nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, Protocol, TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.settings import Settings


class Provider(Protocol):
    """What is known of each provider, whatever it provides."""

    @property
    def name(self) -> str:
        """In settings, in the ledger and in limits."""
        ...

    @property
    def is_paid(self) -> bool:
        """Whether it costs money, so that each request passes the guard."""
        ...

    @property
    def is_preset(self) -> bool:
        """Whether it is one of many servers of a kind, which counts only if it is chosen."""
        ...

    @property
    def daily_limit(self) -> Callable[[Settings], Decimal | None]:
        """US dollars a day for it alone, by the settings; None where only the limit of all holds.
        ``tvdb limits --service`` sets one for any provider.
        """
        ...


P = TypeVar("P", bound=Provider)


def no_daily_limit(_: Settings) -> None:
    """Of a provider that has no setting for it."""


class ProviderRegistry(Generic[P]):
    """The providers of one package, and those that were added at run time."""

    def __init__(self, package: str, setting: str) -> None:
        """Nothing is imported before the first question.

        Args:
            package: whose modules declare ``PROVIDERS``.
            setting: the environment variable that chooses a paid one.
        """
        self._package = package
        self._setting = setting
        self._added: dict[str, P] = {}

    @cached_property
    def _declared(self) -> Mapping[str, P]:
        found: dict[str, P] = {}
        modules = iter_modules(import_module(self._package).__path__)
        for info in sorted(modules, key=lambda info: info.name):
            module = import_module(f"{self._package}.{info.name}")
            for provider in getattr(module, "PROVIDERS", ()):
                if provider.name in found:
                    raise ValueError(f"two modules declare the provider {provider.name}")
                found[provider.name] = provider
        return found

    def find(self, name: str) -> P | None:
        """A provider, or None where there is none of this name."""
        return self._added.get(name) or self._declared.get(name)

    def paid(self) -> tuple[P, ...]:
        """All that cost money, by name, without presets."""
        return tuple(one for one in self._all_paid() if not one.is_preset)

    def presets(self) -> tuple[str, ...]:
        """The names of all presets."""
        return tuple(one.name for one in self._all_paid() if one.is_preset)

    def _all_paid(self) -> tuple[P, ...]:
        known = {**self._declared, **self._added}
        return tuple(known[name] for name in sorted(known) if known[name].is_paid)

    def choose_paid(self, name: str) -> P:
        """The paid provider that a setting names.

        Raises:
            ConfigurationError: there is no paid provider of this name.
        """
        found = self.find(name)
        if found is None or not found.is_paid:
            names = ", ".join(provider.name for provider in self._all_paid())
            raise codes.PROVIDER_UNKNOWN.error(name=name, setting=self._setting, names=names)
        return found

    @contextmanager
    def adding(self, provider: P) -> Iterator[None]:
        """Know one more provider within the block: one that another package declares."""
        if self.find(provider.name) is not None:
            raise ValueError(f"there is a provider {provider.name} already")
        self._added[provider.name] = provider
        try:
            yield
        finally:
            del self._added[provider.name]
