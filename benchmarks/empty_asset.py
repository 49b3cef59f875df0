"""An asset that does nothing: the cost of a run without any work of ours."""

import dagster as dg


@dg.asset
def empty() -> None:
    """Do nothing."""


defs = dg.Definitions(assets=[empty])
