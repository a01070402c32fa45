"""The Terraform example, read as Terraform reads it, and compared with what scripts/deploy_gcp does.

Terraform itself and Google's provider are not needed: they would have to be fetched from their registry.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest
from staging import ROOT

FOLDER = ROOT / "templates" / "gcp"
# What the provider's page on google_cloudfunctions2_function names as arguments of these blocks.
ARGUMENTS = {
    "build_config": "runtime entry_point source worker_pool environment_variables docker_repository service_account",
    "service_config": (
        "timeout_seconds available_memory max_instance_request_concurrency available_cpu environment_variables "
        "max_instance_count min_instance_count vpc_connector vpc_connector_egress_settings ingress_settings "
        "service_account_email all_traffic_on_latest_revision secret_environment_variables secret_volumes dynamic"
    ),
}
REFERENCE = re.compile(r"\b(?:var|data|each|self|path|[a-z0-9]+_[a-z0-9_]+)\.[a-z_][a-z0-9_.]*")


def plain(value: Any) -> Any:
    """What python-hcl2 read, without the quotes that it leaves around strings, and without its own notes."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value[1:-1] if isinstance(value, str) and value.startswith('"') else value


def strings(value: Any) -> list[str]:
    """Every string in a document."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@pytest.fixture(scope="module")
def document():
    return plain(hcl2.loads((FOLDER / "main.tf").read_text()))


@pytest.fixture(scope="module")
def resources(document):
    """By their addresses."""
    return {
        f"{kind}.{name}": body
        for block in document["resource"]
        for kind, named in block.items()
        for name, body in named.items()
    }


@pytest.fixture(scope="module")
def variables(document):
    return {name: body for block in document["variable"] for name, body in block.items()}


@pytest.fixture(scope="module")
def function(resources):
    return resources["google_cloudfunctions2_function.function"]


@pytest.fixture(scope="module")
def service(function):
    [config] = function["service_config"]
    return config


@pytest.fixture(scope="module")
def flags():
    """How the script would deploy."""
    command = [ROOT / "scripts" / "deploy_gcp", "onboarding", "--region=europe-west1", "--dry-run"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()  # noqa: S603
    [deploy] = [line for line in printed if line.startswith("gcloud functions deploy")]
    return dict(flag[2:].split("=", 1) for flag in shlex.split(deploy) if flag.startswith("--") and "=" in flag)


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_it_is_formatted():
    env = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    command = ["terraform", "fmt", "-check", "-diff", "templates/gcp"]
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)


def test_it_refers_to_nothing_that_is_not_there(document, resources, variables):
    data = {f"data.{kind}.{name}" for block in document["data"] for kind, named in block.items() for name in named}
    known = {*resources, *data, *(f"var.{name}" for name in variables), "path.module", "each.value", "self.output"}
    known |= {"secret_environment_variables.key", "secret_environment_variables.value"}  # of the dynamic block
    code = [text for whole in strings(document) for text in re.findall(r"\$\{([^}]*)\}", whole)]
    found = {reference for text in code for reference in REFERENCE.findall(text)}
    assert len(found) > 15, "the pattern overlooks references"
    unknown = {name for name in found if not any(f"{name}.".startswith(f"{address}.") for address in known)}
    assert unknown == set()
    unused = {f"var.{name}" for name in variables} - found
    assert unused == set()


def test_the_functions_arguments_are_those_of_the_provider(function):
    for block, names in ARGUMENTS.items():
        [body] = function[block]
        assert body.keys() <= set(names.split()), block


def test_it_deploys_what_the_script_deploys(function, service, variables, flags):
    [build] = function["build_config"]
    assert (build["runtime"], build["entry_point"]) == (flags["runtime"], flags["entry-point"])
    assert service["available_memory"] == flags["memory"]
    assert service["available_cpu"] == flags["cpu"]
    assert f"{service['timeout_seconds']}s" == flags["timeout"]
    assert str(service["max_instance_count"]) == flags["max-instances"]
    assert str(variables["concurrency"]["default"]) == flags["concurrency"]
    assert service["all_traffic_on_latest_revision"] is True
    source = FOLDER / variables["source_dir"]["default"]
    assert os.path.normpath(source) == flags["source"], "it must begin with what the script stages"


def test_there_is_a_thread_for_each_request(service):
    assert service["max_instance_request_concurrency"] == "${var.concurrency}"
    assert service["environment_variables"] == {"THREADS": "${tostring(var.concurrency)}"}


def test_secrets_are_references_and_no_value_is_known_to_terraform(document, service, resources, variables, flags):
    [dynamic] = service["dynamic"]
    block = dynamic["secret_environment_variables"]
    assert block["for_each"] == "${var.secrets}"
    assert block["content"] == [
        {
            "key": "${secret_environment_variables.key}",
            "project_id": "${var.project}",
            "secret": "${secret_environment_variables.value}",
            "version": "latest",
        }
    ]
    wanted = dict(pair.removesuffix(":latest").split("=") for pair in flags["set-secrets"].split(","))
    assert variables["secrets"]["default"] == wanted
    # A version that Terraform makes has the value in the state; a data source for one reads it there.
    kinds = {address.partition(".")[0] for address in resources} | {
        kind for block in document["data"] for kind in block
    }
    assert not [kind for kind in kinds if kind.startswith("google_secret_manager_secret_version")]
    assert "signkey-" not in json.dumps(document)


def test_the_function_runs_as_an_account_of_its_own_that_reads_these_secrets_only(function, service, resources):
    assert service["service_account_email"] == "${google_service_account.function.email}"
    may_read = resources["google_secret_manager_secret_iam_member.function"]
    assert may_read == {
        "for_each": "${var.secrets}",
        "secret_id": "${each.value}",
        "role": "roles/secretmanager.secretAccessor",
        "member": "serviceAccount:${google_service_account.function.email}",
    }
    assert function["depends_on"] == ["${google_secret_manager_secret_iam_member.function}"]
    granted = {body["role"] for body in resources.values() if "role" in body}
    assert granted == {"roles/secretmanager.secretAccessor", "roles/run.invoker"}


def test_everybody_may_call_this_service_and_nothing_else_is_public(resources):
    public = {address: body for address, body in resources.items() if "allUsers" in strings(body)}
    assert public.keys() == {"google_cloud_run_service_iam_member.everybody"}
    [everybody] = public.values()
    assert everybody["service"] == "${google_cloudfunctions2_function.function.name}"
    bucket = resources["google_storage_bucket.source"]
    assert (bucket["public_access_prevention"], bucket["uniform_bucket_level_access"]) == ("enforced", True)


def test_a_new_source_is_a_new_deployment_and_is_synced(document, function, resources):
    [build] = function["build_config"]
    [source] = build["source"]
    assert source["storage_source"][0]["object"] == "${google_storage_bucket_object.source.name}"
    assert "${data.archive_file.source.output_sha256}" in resources["google_storage_bucket_object.source"]["name"]
    sync = resources["terraform_data.sync"]
    assert sync["triggers_replace"] == "${google_cloudfunctions2_function.function.update_time}"
    assert sync["input"] == "${google_cloudfunctions2_function.function.service_config[0].uri}"
    command = sync["provisioner"][0]["local-exec"]["command"]
    script = command.split()[1].replace("${path.module}", str(FOLDER))
    assert Path(script).samefile(ROOT / "scripts" / "deploy_gcp_sync.py")
    assert sync["depends_on"] == ["${google_cloud_run_service_iam_member.everybody}"]


@pytest.mark.parametrize("name", ["onboarding", "orders-2"])
@pytest.mark.parametrize("bad", ["{}_x", "{}X", "2{}", "{}-", "a", "{0}{0}{0}{0}"])
def test_names(name, bad, variables):
    pattern = re.search(r'regex\("([^"]+)"', variables["name"]["validation"][0]["condition"])[1]
    assert re.search(pattern, name)
    assert not re.search(pattern, bad.format(name))
