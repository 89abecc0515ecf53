"""The examples of deployments name settings, commands and packages that exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from loravit_web.settings.environment import read_settings
from loravit_web.ui.gate.health import PATHS
from tests.docs.environment import variables_read
from tests.test_package import PROJECT, ROOT

COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
KUBERNETES = list(yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text(encoding="utf-8")))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CONTAINERS: dict[str, dict[str, Any]] = {
    container["name"]: container
    for document in KUBERNETES
    if document["kind"] == "Deployment"
    for container in document["spec"]["template"]["spec"]["containers"]
}
OF_LIBRARIES = {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}


def environments() -> list[dict[str, str]]:
    found = [SERVICES[name]["environment"] for name in ("web", "worker")]
    found += [{one["name"]: one["value"] for one in container["env"]} for container in CONTAINERS.values()]
    return found


@pytest.mark.parametrize("environ", environments())
def test_every_variable_is_one_that_the_app_or_a_library_reads(environ: dict[str, str]) -> None:
    assert set(environ) <= variables_read() | OF_LIBRARIES
    assert read_settings({k: v for k, v in environ.items() if k not in OF_LIBRARIES}).executor == "workers"


def test_workers_are_nodes_and_hand_their_runs_back_in_time() -> None:
    for command in (SERVICES["worker"]["command"], CONTAINERS["worker"]["args"]):
        assert command == ["python", "-m", "loravit_web", "worker", "--slots", "1"]
    assert SERVICES["worker"]["stop_grace_period"] == "30s"


def test_probes_ask_routes_that_exist() -> None:
    container = CONTAINERS["web"]
    probes = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")]
    probes += re.findall(r"127\.0\.0\.1:7860(/\w+)", " ".join(SERVICES["web"]["healthcheck"]["test"]))
    assert set(probes) == PATHS - {"/metrics"}


def test_the_image_gets_the_packages_of_the_extras() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*extras["postgres"], *extras["s3"], *extras["metrics"]]
    assert SERVICES["web"]["build"]["args"]["EXTRA_PACKAGES"].split() == wanted
    assert "$EXTRA_PACKAGES" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_no_password_has_a_default() -> None:
    for name, value in SERVICES["web"]["environment"].items():
        if "PASSWORD" in value or "TOKEN" in name or "SECRET" in name:
            assert ":?}" in value, name
    example = (ROOT / "deploy/example.env").read_text(encoding="utf-8")
    named = set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "deploy/compose.yaml").read_text(encoding="utf-8")))
    assert {line.partition("=")[0] for line in example.splitlines() if "=" in line} == named
    assert all(line.endswith("=") for line in example.splitlines() if "=" in line)


def test_services_wait_for_services_that_exist() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
