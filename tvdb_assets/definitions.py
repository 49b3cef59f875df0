"""The code location that Dagster loads: ``dagster dev -m tvdb_assets.definitions``.

What belongs here: the module name that users and workspaces refer to. What does not: the
definitions themselves (`dagster.definitions`).
"""

from tvdb_assets.dagster.definitions import defs

__all__ = ["defs"]
