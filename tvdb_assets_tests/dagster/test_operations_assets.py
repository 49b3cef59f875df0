"""The cost report, as Dagster stores it."""

from __future__ import annotations

import base64
import io

import dagster as dg
import pytest
from PIL import Image

from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.operations_assets import make_cost_report
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.spend_limits import change
from tvdb_assets_tests.spend_guard.ledger_rows import Paying

pytestmark = pytest.mark.filterwarnings(
    # Dagster itself still uses pydantic's old name.
    "ignore:The `__fields__` attribute is deprecated"
)


def report(database: Database, monkeypatch: pytest.MonkeyPatch) -> dict[str, dg.MetadataValue]:
    monkeypatch.setenv("TVDB_DATABASE_URL", database.url)
    router = ServiceRouterResource(mode=None, parser_mode=None, embedder_mode=None)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [make_cost_report(DefinitionNames())],
            instance=instance,
            resources={"service_router": router},
        )
        [made] = done.asset_materializations_for_node("cost_report")
    assert done.success
    return dict(made.metadata)


def picture(metadata: dict[str, dg.MetadataValue], name: str) -> Image.Image:
    value = metadata[name].value
    assert isinstance(value, str)
    assert value.startswith("![")
    encoded = value[value.index("base64,") + len("base64,") : -1]
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    image.load()
    assert image.format == "PNG"
    return image


def test_an_empty_ledger_is_drawn_too(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = report(database, monkeypatch)
    assert metadata["spent_today_usd"].value == 0.0
    assert metadata["limit_usd"].value == 5.0
    for name in ("by_day", "by_kind_of_document"):
        assert picture(metadata, name).width > 500
    most_expensive = metadata["most_expensive_documents"]
    assert isinstance(most_expensive, dg.TableMetadataValue)
    assert list(most_expensive.records) == []


def test_a_full_ledger_is_drawn_with_the_ten_most_expensive(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    paying = Paying(database)
    with database.transaction() as tx:
        [now] = tx.execute("SELECT tvdb.clock()").fetchone() or ()
    paying.now = now
    for number in range(12):
        paying.pay(number + 1, documents=[f"{number:02}.pdf"])
    paying.pay(22, documents=["a.md"], service="llamaparse", outcome="lost")
    change(database, "daily_usd", None, changed_by="ada")

    metadata = report(database, monkeypatch)

    # Cents: 1 + 2 + … + 12 = 78, and 22.
    assert metadata["spent_today_usd"].value == pytest.approx(1.00)
    assert metadata["spent_percent"].value == 20
    assert metadata["wasted_usd"].value == pytest.approx(0.22)
    most_expensive = metadata["most_expensive_documents"]
    assert isinstance(most_expensive, dg.TableMetadataValue)
    rows = [record.data for record in most_expensive.records]
    assert [row["document"] for row in rows] == ["a.md", *(f"{n:02}.pdf" for n in range(11, 2, -1))]
    assert rows[0] == {"document": "a.md", "usd": pytest.approx(0.22), "requests": 1}
    for name in ("by_day", "by_kind_of_document"):
        assert len(picture(metadata, name).getcolors(1 << 20) or []) > 8
