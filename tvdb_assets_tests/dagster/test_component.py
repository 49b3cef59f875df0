"""The component in a project of `dg`: scaffolded, checked, loaded and launched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from tvdb_assets import DocumentsComponent
from tvdb_assets.models import Stage
from tvdb_assets_tests.dagster.project import Project

# Dagster itself still uses pydantic's old names.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated"),
]

TYPE = "tvdb_assets.DocumentsComponent"
FILES = {
    "pyproject.toml": """\
[project]
name = "shop"
version = "0.1.0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "shop"
""",
    "src/shop/__init__.py": "",
    "src/shop/definitions.py": """\
from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
""",
    "src/shop/defs/__init__.py": "",
    # The project's own names are also those of the component without a prefix.
    "src/shop/defs/own.py": """\
import dagster as dg


@dg.asset
def chunks() -> int:
    return 1


@dg.definitions
def others() -> dg.Definitions:
    return dg.Definitions(
        executor=dg.in_process_executor,
        resources={"io_manager": dg.FilesystemIOManager(), "service_router": 1},
    )
""",
    "src/shop/defs/legal/defs.yaml": f"""\
type: {TYPE}
attributes:
  key_prefix: [legal, contracts]
  source: "{{{{ env.LEGAL_SOURCE }}}}"
""",
}


def dg_command(project: Path, *arguments: str) -> str:
    """The output of a command of `dg` in a project."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dg"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        # `dg` reads a configuration file of the user.
        env=os.environ
        | {
            "PYTHONPATH": str(project / "src"),
            "DG_CLI_CONFIG": str(project / "none.toml"),
            "LEGAL_SOURCE": str(project / "legal"),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(400)
def test_dg_scaffolds_checks_and_launches_two_components_in_one_code_location(
    project: Project, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    for name, text in FILES.items():
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text(text, "utf-8")
    options = ("--key-prefix", "handbook", "--group-name", "handbook")
    dg_command(shop, "scaffold", "defs", TYPE, "handbook", *options)
    written = (shop / "src/shop/defs/handbook/defs.yaml").read_text("utf-8").split()
    assert written == [
        *("type:", TYPE, "attributes:", "key_prefix:", "handbook", "group_name:", "handbook")
    ]
    assert "All definitions loaded successfully" in dg_command(shop, "check", "defs")

    project.instance.add_dynamic_partitions("documents", ["0.md", "1.md", "2.md"])
    assets = ",".join(f"handbook/{stage.value}" for stage in Stage)
    dg_command(shop, "launch", "--assets", assets, "--partition-range", "0.md...1.md")
    for stage in Stage:
        key = dg.AssetKey(["handbook", stage.value])
        assert project.instance.get_materialized_partitions(key) == {"0.md", "1.md"}
    assert project.searchable() == {"0.md", "1.md"}


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ("key_prefix: a-b", "key_prefix"),
        ("key_prefix: [a, b/c]", "key_prefix"),
        ("group: handbook", "group"),
        ("source: 3", "source"),
    ],
)
def test_a_field_that_is_not_valid_is_named(attributes: str, field: str) -> None:
    with pytest.raises(Exception, match=field):
        DocumentsComponent.resolve_from_yaml(attributes)


def test_the_schema_describes_each_field() -> None:
    model = DocumentsComponent.get_model_cls()
    assert model is not None
    properties = model.model_json_schema()["properties"]
    assert sorted(properties) == ["group_name", "key_prefix", "source"]
    assert all(each["description"] for each in properties.values())
    assert "pattern" in str(properties["key_prefix"])


def test_fields_that_are_not_given_come_from_the_settings(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_ASSET_KEY_PREFIX", "kb")
    component = DocumentsComponent.resolve_from_yaml("{}")
    graph = component.build_defs(dg.ComponentTree.for_test().load_context).resolve_asset_graph()
    assert {key.path[0] for key in graph.get_all_asset_keys()} == {"kb"}
    assert graph.get(dg.AssetKey(["kb", "chunks"])).group_name == "documents"
