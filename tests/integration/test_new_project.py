"""What ``inngest-serverless new`` creates, by a user who has nothing but the released wheel."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from aws_artifact import aws_environment, tool
from built_package import build_wheel, install, run

pytestmark = pytest.mark.integration

CLOUDS = ("aws", "gcp")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module", params=CLOUDS)
def created(request, wheel, tmp_path_factory):
    """The folder of a project, and an environment with what its requirements name."""
    cloud = request.param
    folder = tmp_path_factory.mktemp(cloud)
    environment = install(wheel, folder / "venv", cloud, "dev", also=("pytest",))
    environment.run("inngest-serverless", "new", "shop", "--cloud", cloud, cwd=folder)
    return folder / "shop", environment


def test_its_requirements_are_what_the_environment_has(created, wheel):
    """So that what passes here passes for a user, who installs by these files."""
    project, _ = created
    [cloud] = {cloud for cloud in CLOUDS if project.parent.name.startswith(cloud)}
    lines = [*(project / "src/requirements.txt").read_text().splitlines()]
    lines += (project / "requirements-dev.txt").read_text().splitlines()
    version = wheel.name.split("-")[1]
    assert lines == [
        f"inngest-serverless[{cloud}]~={version}",
        "-r src/requirements.txt",
        f"inngest-serverless[dev]~={version}",
        "pytest",
    ]


def test_its_tests_pass(created):
    project, environment = created
    ran = environment.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-ra", "-W", "error", cwd=project)
    assert "4 passed" in ran.stdout, ran.stdout
    assert f"rootdir: {project}" in ran.stdout, ran.stdout


def test_its_tests_find_a_mistake(created):
    """They are no decoration: a function that reminds everybody fails them."""
    project, environment = created
    path = project / "src" / "onboarding.py"
    before = path.read_text("utf-8")
    broken = before.replace("if login is not None", "if login is ctx")
    assert broken != before
    path.write_text(broken, "utf-8")
    try:
        ran = environment.run("python", "-m", "pytest", "-p", "no:cacheprovider", cwd=project, code=1)
    finally:
        path.write_text(before, "utf-8")
    assert "FAILED tests/test_onboarding.py::test_who_comes_back_is_left_alone" in ran.stdout, ran.stdout


def test_the_handler_is_where_the_readme_says(created):
    project, environment = created
    readme = (project / "README.md").read_text("utf-8")
    assert "`(cd src && inngest-serverless dev main:handler)`" in readme
    data = '{"id": "u-1", "email": "ada@example.com"}'
    assert f"send app/user.signed-up --data '{data}'" in readme
    command = ["run", "main:handler", "--event", "app/user.signed-up", "--data", data]
    ran = environment.run("inngest-serverless", *command, cwd=project / "src")
    assert ran.stdout.endswith("completed after 4 invocations: 'reminded'\n"), ran.stdout


def test_its_types_are_right(created):
    project, environment = created
    options = ["--strict", "--cache-dir", os.devnull, "--python-executable", str(environment.scripts / "python")]
    ran = run(sys.executable, "-m", "mypy", *options, "src", "tests", cwd=project, MYPYPATH="src")
    assert "no issues found in 3 source files" in ran.stdout


def test_sam_takes_its_template(wheel, tmp_path):
    sam = tool("aws/bin/sam")
    environment = install(wheel, tmp_path / "venv", "dev")
    environment.run("inngest-serverless", "new", "shop", "--cloud", "aws", cwd=tmp_path)
    ran = subprocess.run(  # noqa: S603 - ours
        [sam, "validate", "--lint"], cwd=tmp_path / "shop", env=aws_environment(),
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "is a valid SAM Template" in ran.stdout, ran.stdout + ran.stderr
