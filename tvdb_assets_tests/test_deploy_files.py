"""The files in ``deploy/`` fit the package, Dagster and each other.

What belongs here: what can be checked without Docker or a cluster. What does not: runs of Celery
workers with the shipped files (`integration.test_celery`).
"""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config_schema
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from dagster_k8s.launcher import K8sRunLauncher

from tvdb_assets.settings import Settings

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "deploy" / "docker"


def loaded(path: str) -> dict[str, Any]:
    content = yaml.safe_load((ROOT / "deploy" / path).read_text("utf-8"))
    assert isinstance(content, dict)
    return content


def locked(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE))


def test_the_image_has_the_versions_that_are_tested_and_no_tools_of_developers() -> None:
    image, tested = locked(DOCKER / "requirements.lock"), locked(ROOT / "requirements.lock")
    assert image.items() <= tested.items()
    assert {"celery", "redis", "dagster-celery", "dagster-k8s", "tesserocr"} <= set(image)
    assert not {"pytest", "ruff", "mypy", "moto", "playwright"} & set(image)


def test_the_image_is_built_of_files_that_its_context_has() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text("utf-8")
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    copied = [
        line.split()[1:-1] for line in re.findall(r"^COPY (?!--).*", dockerfile, re.MULTILINE)
    ]
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name
    last = dockerfile.rpartition("FROM ")[2]
    assert "USER 10001:10001" in last
    assert "pip" not in last


def test_the_processes_of_compose_exist_and_are_confined() -> None:
    compose = loaded("docker/compose.yaml")
    programs = {script.name for script in entry_points(group="console_scripts")}
    known = {field.validation_alias or f"TVDB_{name.upper()}"
             for name, field in Settings.model_fields.items()}  # fmt: skip
    ours = {n: s for n, s in compose["services"].items() if s["image"] == "tvdb-assets"}
    assert set(ours) == {"migrate", "code", "daemon", "ui", "worker", "search"}
    for name, service in ours.items():
        assert service["command"][0] in programs, name
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        settings = {key for key in service["environment"] if key.startswith("TVDB_")}
        assert settings <= known | {"TVDB_SERVE_TOKEN"}, name
        for mount in service["volumes"][1:]:
            assert (DOCKER / mount.partition(":")[0]).is_file(), mount
        # Dagster's UI has no password, and the search service is for this machine, too.
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
    [server] = loaded("docker/workspace.yaml")["load_from"]
    command = ours["code"]["command"]
    assert str(server["grpc_server"]["port"]) == command[command.index("-p") + 1]
    assert server["grpc_server"]["location_name"] in command


def test_dagster_accepts_what_the_chart_puts_into_its_instance() -> None:
    values = loaded("kubernetes/values.yaml")
    schema = resolve_to_config_type(dagster_instance_config_schema())
    more = values["additionalInstanceConfig"]
    assert process_config(schema, more).success
    # The chart writes these keys itself if they are enabled, and a key may be there once.
    assert values["dagsterDaemon"]["runRetries"] == {"enabled": False}
    assert values["dagsterDaemon"]["runCoordinator"] == {"enabled": False}
    instance = loaded("celery/dagster.yaml")
    assert {key: instance[key] for key in more} == more


def test_kubernetes_accepts_the_settings_of_runs() -> None:
    launcher = loaded("kubernetes/values.yaml")["runLauncher"]["config"]["k8sRunLauncher"]
    config = {
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": "tvdb-postgresql",
        "dagster_home": "/opt/dagster/dagster_home",
        "image_pull_policy": launcher["imagePullPolicy"],
        "env_config_maps": [each["name"] for each in launcher["envConfigMaps"]],
        "env_secrets": [each["name"] for each in launcher["envSecrets"]],
        "resources": launcher["resources"],
        "security_context": launcher["securityContext"],
        "volumes": launcher["volumes"],
        "volume_mounts": launcher["volumeMounts"],
        "run_k8s_config": {
            "pod_spec_config": launcher["runK8sConfig"]["podSpecConfig"],
            "job_spec_config": launcher["runK8sConfig"]["jobSpecConfig"],
        },
    }
    result = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), config)
    assert result.success, result.errors
    made = UserDefinedDagsterK8sConfig.from_dict(config["run_k8s_config"])  # type: ignore[arg-type]
    assert made.pod_spec_config["termination_grace_period_seconds"] == 120
    assert made.pod_spec_config["security_context"]["run_as_non_root"] is True


def test_kubernetes_and_docker_use_the_account_of_the_image() -> None:
    values = loaded("kubernetes/values.yaml")
    pods = [
        values["dagsterWebserver"]["podSecurityContext"],
        values["dagsterDaemon"]["podSecurityContext"],
        *(each["podSecurityContext"] for each in values["dagster-user-deployments"]["deployments"]),
    ]
    user = re.search(r"USER (\d+):", (DOCKER / "Dockerfile").read_text("utf-8"))
    assert user is not None
    assert {pod["runAsUser"] for pod in pods} == {int(user[1])}
    homes = loaded("docker/compose.yaml")["services"]["code"]["tmpfs"]
    assert f"/var/lib/tvdb:uid={user[1]},gid={user[1]}" in homes
