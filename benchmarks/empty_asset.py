"""An asset that does nothing: what a run costs before anything of ours is done."""

import dagster as dg


@dg.asset
def empty() -> None:
    """Do nothing."""


defs = dg.Definitions(assets=[empty])
