"""The definitions in a code location of somebody else, once and twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from click.testing import CliRunner
from dagster._core.definitions.run_request import RunRequest

import tvdb_assets
from tvdb_assets import definitions as tvdb
from tvdb_assets.cli import tvdb as command_line
from tvdb_assets.dagster.io_manager import PostgresIOManager
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.models import Stage
from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.dagster.project import TEXTS, Project

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


@dg.asset
def chunks() -> int:
    """An asset of the project with the name of one of ours."""
    return 3


@dg.asset
def three_times(chunks: int) -> int:
    return 3 * chunks


@dg.asset(
    partitions_def=tvdb_assets.documents_partitions, ins={"rows": dg.AssetIn(["kb", "chunks"])}
)
def longest_chunk(rows: pd.DataFrame) -> int:
    return int(rows["token_count"].max())


@dg.op
def maintain() -> None: ...


@dg.job
def maintenance() -> None:
    maintain()


@dg.sensor()
def cost_sensor() -> None: ...


def own(folder: Path) -> dg.Definitions:
    """The definitions of a project, whose names are also ours."""
    return dg.Definitions(
        assets=[chunks, three_times, longest_chunk],
        jobs=[maintenance],
        sensors=[cost_sensor],
        executor=dg.in_process_executor,
        resources={
            "io_manager": dg.FilesystemIOManager(base_dir=str(folder / "own")),
            "service_router": "the project's own",
        },
    )


def keys_of(prefix: Sequence[str]) -> list[dg.AssetKey]:
    return [dg.AssetKey([*prefix, stage.value]) for stage in Stage]


def requests_of(
    repository: dg.RepositoryDefinition, name: str, instance: dg.DagsterInstance
) -> list[RunRequest]:
    """The runs that a tick of a sensor requests."""
    with dg.build_sensor_context(
        instance=instance,
        repository_def=repository,
        resources=dict(repository.get_top_level_resources()),
    ) as context:
        return list(repository.get_sensor_def(name).evaluate_tick(context).run_requests or [])


def execute(
    repository: dg.RepositoryDefinition,
    request: RunRequest,
    assets: Sequence[dg.AssetKey],
    instance: dg.DagsterInstance,
) -> dg.ExecuteInProcessResult:
    """Execute a requested run of these assets."""
    job = repository.get_implicit_global_asset_job_def()
    done = job.execute_in_process(
        instance=instance, tags=dict(request.tags), asset_selection=list(assets)
    )
    assert done.success
    return done


@pytest.fixture
def others(project: Project, tmp_path: Path) -> Path:
    """The documents of a second source."""
    folder = tmp_path / "others"
    folder.mkdir()
    (folder / "other.md").write_text("# Other\n\nIt is in the other source.\n", "utf-8")
    return folder


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A project's own instance, which is not in our database."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def test_a_project_with_the_same_names_runs_ours_and_its_own(
    project: Project, tmp_path: Path, sqlite: dg.DagsterInstance
) -> None:
    merged = dg.Definitions.merge(tvdb.defs(key_prefix="kb", group="handbook"), own(tmp_path))
    repository = merged.get_repository_def()
    nodes = repository.asset_graph.asset_nodes
    groups = {node.group_name for node in nodes if node.key.path[0] == "kb"}
    assert groups == {"handbook"}
    assert (
        execute(
            repository, RunRequest(), [dg.AssetKey("chunks"), dg.AssetKey("three_times")], sqlite
        ).output_for_node("three_times")
        == 9
    )

    [request] = requests_of(repository, "kb__document_intake", sqlite)
    ours = keys_of(["kb"])
    done = execute(repository, request, ours, sqlite)
    assert project.searchable() == set(TEXTS)
    for key in ours:
        assert sqlite.get_materialized_partitions(key) == set(TEXTS)
    assert {check.asset_check_key for check in done.get_asset_check_evaluations()} == {
        dg.AssetCheckKey(ours[0], "parse_validation"),
        dg.AssetCheckKey(ours[2], "made_by_real_services"),
    }
    assert requests_of(repository, "kb__document_intake", sqlite) == []
    assert requests_of(repository, "kb__cost_sensor", sqlite) == []

    one = RunRequest(tags={"dagster/partition": "0.md"})
    loaded = execute(repository, one, [dg.AssetKey("longest_chunk")], sqlite)
    assert loaded.output_for_node("longest_chunk") > 0


def test_two_sets_in_one_code_location_each_process_their_own_source(
    project: Project, others: Path
) -> None:
    merged = dg.Definitions.merge(
        tvdb.defs(key_prefix="kb"), tvdb.defs(key_prefix=["legal", "kb"], source=str(others))
    )
    repository = merged.get_repository_def()
    [first] = requests_of(repository, "kb__document_intake", project.instance)
    [second] = requests_of(repository, "legal__kb__document_intake", project.instance)
    assert project.covered([first]) == sorted(TEXTS)
    assert project.covered([second]) == ["other.md"]
    execute(repository, first, keys_of(["kb"]), project.instance)
    execute(repository, second, keys_of(["legal", "kb"]), project.instance)
    assert project.searchable() == {*TEXTS, "other.md"}
    for prefix, documents in ((["kb"], set(TEXTS)), (["legal", "kb"], {"other.md"})):
        for key in keys_of(prefix):
            assert project.instance.get_materialized_partitions(key) == documents

    for name in ("kb__nightly_catch_up", "legal__kb__nightly_catch_up"):
        schedule = repository.get_schedule_def(name)
        with dg.build_schedule_context(
            instance=project.instance,
            repository_def=repository,
            resources=dict(repository.get_top_level_resources()),
        ) as context:
            assert not schedule.evaluate_tick(context).run_requests
    for name in ("kb__maintenance", "legal__kb__retry_documents", "legal__kb__catch_up"):
        job = repository.get_job(name)
        assert job.execute_in_process(instance=project.instance).success
    reports = [dg.AssetKey(["kb", "cost_report"]), dg.AssetKey(["legal", "kb", "service_health"])]
    execute(repository, RunRequest(), reports, project.instance)


def test_a_command_materializes_the_assets_with_the_prefix_of_the_settings(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_ASSET_KEY_PREFIX", "legal/kb")
    done = CliRunner().invoke(command_line, ["ingest", "--json"])
    assert done.exit_code == 0, done.output
    for key in keys_of(["legal", "kb"]):
        assert project.instance.get_materialized_partitions(key) == set(TEXTS)
    assert project.materialized() == set(), "those without the prefix"
    repository = tvdb.defs().get_repository_def()
    assert requests_of(repository, "legal__kb__document_intake", project.instance) == []
    [run] = project.instance.get_runs()
    assert run.asset_selection == frozenset(keys_of(["legal", "kb"]))


def test_without_a_prefix_the_error_names_what_is_there_twice(
    project: Project, tmp_path: Path
) -> None:
    for other, error, name in (
        (dg.Definitions(assets=[chunks]), dg.DagsterInvalidDefinitionError, "chunks"),
        (dg.Definitions(jobs=[maintenance]), dg.DagsterInvalidDefinitionError, "maintenance"),
        (own(tmp_path), dg.DagsterInvariantViolationError, "service_router"),
    ):
        with pytest.raises(error, match=name):
            dg.Definitions.validate_loadable(dg.Definitions.merge(tvdb.defs(), other))


def test_an_executor_and_an_io_manager_of_a_project_need_no_prefix(project: Project) -> None:
    mine = dg.Definitions(
        assets=[dg.AssetSpec("mine")],
        executor=dg.in_process_executor,
        resources={"io_manager": dg.mem_io_manager},
    )
    merged = dg.Definitions.merge(tvdb.defs(), mine)
    dg.Definitions.validate_loadable(merged)
    assert merged.executor is dg.in_process_executor


@pytest.mark.parametrize("prefix", ["a-b", "a//b", "/a", "a/", "a b", "ä", ["a", ""]])
def test_a_prefix_that_no_name_may_begin_with_is_refused(prefix: str | list[str]) -> None:
    with pytest.raises(ConfigurationError, match="TVDB_ASSET_KEY_PREFIX"):
        tvdb.defs(key_prefix=prefix)


def test_rows_are_not_taken_for_those_of_an_asset_with_another_prefix(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", database.url)
    manager = PostgresIOManager(key_prefix=["kb"])
    for key in (dg.AssetKey("chunks"), dg.AssetKey(["legal", "chunks"])):
        with pytest.raises(dg.DagsterInvariantViolationError, match="io_manager_key"):
            manager.load_input(dg.build_input_context(asset_key=key))


def test_dagster_finds_definitions_that_take_arguments_by_their_type() -> None:
    assert isinstance(tvdb.defs, type(dg.definitions(lambda: dg.Definitions())))
    assert tvdb_assets.defs is tvdb.defs


def test_runs_take_one_process_unless_a_project_decides() -> None:
    """A process for the only step of a run would load Dagster a second time."""
    alone = tvdb.defs().get_repository_def()
    for job in alone.get_all_jobs():
        assert job.executor_def is dg.in_process_executor, job.name
    merged = dg.Definitions.merge(tvdb.defs(), dg.Definitions(assets=[dg.AssetSpec("mine")]))
    of_assets = merged.resolve_implicit_global_asset_job_def()
    assert of_assets.executor_def is dg.multi_or_in_process_executor
    for name in ("catch_up", "maintenance", "retry_documents"):
        assert merged.get_job_def(name).executor_def is dg.in_process_executor
