"""The keys and names of the definitions, which share a code location with those of a project.

What belongs here: how a key prefix and a group change them. What does not: the definitions
themselves (`definitions`), or their settings.

With a key prefix, everything whose name must be unique in a code location begins with it: asset
keys, sensors, schedules, jobs, ops and resources. So two sets of definitions fit in one code
location, and a project may have assets, jobs and resources with the same names. The partitions are
the same, whatever the prefix, because a document is one partition of an instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from tvdb_assets.models import Stage
from tvdb_assets.settings import Settings

if TYPE_CHECKING:
    from tvdb_assets.dagster.resources import ServiceRouterResource


@dataclass(frozen=True, slots=True)
class DefinitionNames:
    """The keys and names of one set of definitions."""

    key_prefix: tuple[str, ...] = ()
    """Parts of each asset key before its last."""
    group_name: str | None = None
    """Group of all assets; None means `documents` and `operations`."""

    @classmethod
    def of(cls, settings: Settings, group_name: str | None = None) -> DefinitionNames:
        """The names with the key prefix of the settings."""
        prefix = settings.asset_key_prefix
        return cls(tuple(prefix.split("/")) if prefix else (), group_name)

    def asset(self, name: str) -> dg.AssetKey:
        """The key of an asset."""
        return dg.AssetKey([*self.key_prefix, name])

    def stage(self, stage: Stage) -> dg.AssetKey:
        """The key of the asset of a stage."""
        return self.asset(stage.value)

    @property
    def document_assets(self) -> Sequence[dg.AssetKey]:
        """The keys of the three assets, in the order of the pipeline."""
        return [self.stage(stage) for stage in Stage]

    def stages_of(self, keys: set[dg.AssetKey] | frozenset[dg.AssetKey]) -> frozenset[Stage]:
        """The stages whose assets have these keys."""
        return frozenset(stage for stage in Stage if self.stage(stage) in keys)

    def name(self, name: str) -> str:
        """The name of a sensor, schedule, job, op or resource, as Dagster names an asset's op."""
        return "__".join([*self.key_prefix, name])

    def group(self, default: str) -> str:
        """The group of an asset."""
        return self.group_name or default

    @property
    def service_router_key(self) -> str:
        """The key of the resource with the services."""
        return self.name("service_router")

    @property
    def io_manager_key(self) -> str:
        """The key of the resource that loads the assets as DataFrames.

        A project's own ``io_manager`` stays its own.
        """
        return self.name("tvdb_io_manager")

    def service_router(self, resources: Any) -> ServiceRouterResource:
        """The resource with the services, of the resources of a context."""
        router: ServiceRouterResource = getattr(resources, self.service_router_key)
        return router


def is_document_asset(key: dg.AssetKey) -> bool:
    """Whether a key may be that of a document asset, with any prefix."""
    return key.path[-1] in {stage.value for stage in Stage}
