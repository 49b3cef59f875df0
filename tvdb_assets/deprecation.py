"""Documented names that were renamed: both names work for one release, the old one with a warning.

What belongs here: the register of renamed settings, command-line options, JSON fields, log events
and modules, and the code that serves old names. What does not: names that were not documented for
users. They change without notice.

The policy: a documented name that is renamed works under its old name until the release that
``until`` names, with one warning for each process. A test fails at that release if an entry is
still here. To end a deprecation, delete its entry here. No other module contains the old name,
except the commands that write old JSON fields.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import Any, Final


class TvdbDeprecationWarning(FutureWarning):
    """The warning that a documented name was renamed; the old name still works.

    A `FutureWarning`, because Python shows these to users by default. In a test suite,
    ``filterwarnings = ["error::tvdb_assets.deprecation.TvdbDeprecationWarning"]`` finds each use
    of an old name.
    """

    def __init__(self, message: str, since: str, until: str) -> None:
        """All three are arguments of the exception, so that a warning pickles.

        Args:
            message: names the old and the new name.
            since: the first version with the new name.
            until: the first version without the old name.
        """
        super().__init__(message, since, until)
        self.message = message
        self.since = since
        self.until = until

    def __str__(self) -> str:
        return f"{self.message} The old name stops working in version {self.until}."


@dataclass(frozen=True, slots=True)
class Rename:
    """A documented name and its successor."""

    kind: str
    """The kind of name in messages: ``setting``, ``option``, ``module`` and so on."""
    old: str
    new: str
    since: str = "0.1.0"
    """The first version with the new name."""
    until: str = "0.2.0"
    """The first version without the old name."""
    advice: str = ""
    """A sentence that says where users can find the old name."""

    @property
    def warning(self) -> TvdbDeprecationWarning:
        """The warning that the use of the old name causes."""
        message = f"The {self.kind} {self.old} is now {self.new}. {self.advice}".rstrip()
        return TvdbDeprecationWarning(message, self.since, self.until)


def _register(kind: str, names: Mapping[str, str]) -> dict[str, Rename]:
    return {old: Rename(kind, old, new) for old, new in names.items()}


SETTINGS: Final = _register("setting", {"TVDB_PAID_PATIENCE_SECONDS": "TVDB_PAID_MAX_WAIT_SECONDS"})
"""Environment variables by old name. The field of `Settings` has the same name without prefix."""

OPTIONS: Final = _register("option", {"--anyway": "--force"})
"""Options of ``tvdb`` commands by old name."""

JSON_FIELDS: Final = {
    **_register("field of tvdb search", {"results.lead": "results.repeated_header"}),
    **_register("field of tvdb ingest", {"outlooks": "forecasts"}),
    **_register(
        "field of tvdb ingest and tvdb status",
        {"documents.behind": "documents.stale_in_current_index"},
    ),
}
"""Fields of ``--json`` by old name. The output has both names. The use of a field is not visible,
so there is no warning."""

LOG_EVENTS: Final = _register(
    "log event",
    {
        "outlook": "cost_forecast",
        "intake_looked": "source_scanned",
        "documents_asked": "documents_requested",
        "maintained": "maintenance_done",
        "journal_lost": "call_event_lost",
    },
)
"""Kinds of log events. A JSON line has the old name as ``event_former``; see `telemetry`."""

_INSTANCE_STORAGE = Rename(
    "module",
    "tvdb_assets.storage.instance",
    "tvdb_assets.dagster.storage.instance_storage",
    advice="Change it in the dagster.yaml of DAGSTER_HOME.",
)
MODULES: Final = {_INSTANCE_STORAGE.old: _INSTANCE_STORAGE} | _register(
    "module",
    {
        "tvdb_assets.assets.documents": "tvdb_assets.dagster.document_assets",
        "tvdb_assets.pipeline.partition_keys": "tvdb_assets.core.partition_keys",
        "tvdb_assets.services.router": "tvdb_assets.routing.service_router",
        "tvdb_assets.storage.database": "tvdb_assets.repositories.database",
    },
)
"""Import paths by old name."""

ATTRIBUTES: Final = _register("attribute", {"EmbeddingResult.made_by": "produced_by"})
"""Attributes of documented classes by class and old name."""

_warned: set[str] = set()
"""Old names about which this process has warned. Python's own registry of warnings is cleared when
a library changes the filters, and Dagster does that several times in a command."""


def warn_of(rename: Rename) -> None:
    """Warn once per process about an old name outside of Python code, such as a setting."""
    if rename.old not in _warned:
        warnings.warn_explicit(rename.warning, TvdbDeprecationWarning, filename="tvdb", lineno=0)
        _warned.add(rename.old)


class RenamedAttribute:
    """A property that serves an attribute under its old name.

    ::

        class EmbeddingResult:
            made_by = RenamedAttribute("EmbeddingResult.made_by")
    """

    def __init__(self, old: str) -> None:
        """Look up the new name.

        Args:
            old: a key of `ATTRIBUTES`.
        """
        self._rename = ATTRIBUTES[old]

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        warnings.warn(self._rename.warning, stacklevel=2)
        return getattr(instance, self._rename.new)


def renamed_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Create a ``__getattr__`` for a module with renamed names.

    ::

        __getattr__ = renamed_names(__name__, {"OldName": "NewName"})

    Args:
        module: the name of the module that has the new names.
        names: the new names by old name.
    """

    def get_attribute(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        rename = Rename("name", f"{module}.{name}", f"{module}.{names[name]}")
        warnings.warn(rename.warning, stacklevel=2)
        return getattr(sys.modules[module], names[name])

    return get_attribute


class _MovedModules:
    """A finder and loader that imports a moved module under its old name.

    Both names give the same module object, so classes are equal. The import system calls this
    finder last, for names without a file, so other imports are not slower. It does not use the
    base classes of `importlib.abc`, because loading them takes 10 ms.
    """

    def __init__(self, moved: Mapping[str, Rename]) -> None:
        self._moved = moved
        self._packages = {old.rpartition(".")[0] for old in moved}

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        loader: Any = self
        if name in self._moved:
            return ModuleSpec(name, loader, origin=self._moved[name].new)
        if name in self._packages:
            return ModuleSpec(name, loader, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Return None: the import system then creates an empty module for an old package."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        if (rename := self._moved.get(name)) is not None:
            # After this method, the import system returns the module that is registered here.
            sys.modules[name] = importlib.import_module(rename.new)
            warnings.warn(rename.warning, stacklevel=2)

    def get_code(self, name: str) -> CodeType | None:
        """The code of a moved module, for ``python -m`` with the old name."""
        rename = self._moved.get(name)
        spec = find_spec(rename.new) if rename is not None else None
        loader: Any = spec.loader if spec is not None else None
        if rename is None or loader is None:
            return None
        warn_of(rename)
        code: CodeType | None = loader.get_code(rename.new)
        return code


def serve_moved_modules() -> None:
    """Register the finder that imports moved modules under their old names."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules(MODULES))
