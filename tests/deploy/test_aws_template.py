"""template.yaml: what SAM, CloudFormation's linter and checkov say to it, and what it promises."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from aws_artifact import ROOT, run, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TRIGGERS = ["function-url", "http-api", "rest-api"]
TEMPLATE = (ROOT / "template.yaml").read_text("utf-8")
PARAMETER = re.compile(r"^  (\w+):\n((?:    .*\n)+)", re.MULTILINE)
# What a version's description has no room for: they reach the alias with a new Revision only, as the docs say.
NOT_IN_THE_DESCRIPTION = {"SecretArn", "InngestBaseUrl", "ServeOrigin", "ServePath"}
# No version of a function has these: they are the function's own.
NOT_OF_A_VERSION = {"ReservedConcurrency", "Environment"}


def refs(value: Any) -> Iterator[str]:
    """The names that a part of a template refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Ref":
                yield inner
            elif key == "Fn::GetAtt":
                yield inner[0]
            elif key == "Fn::Sub":
                yield from re.findall(r"\$\{(\w+)", inner if isinstance(inner, str) else inner[0])
            yield from refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from refs(inner)


def with_defaults(**defaults: str) -> str:
    """The template, its parameters with other defaults: what checkov takes for their values."""
    text = TEMPLATE
    for name, value in defaults.items():
        text, count = re.subn(
            rf"(\n  {name}:\n(?:    (?!Default).*\n)*)(?:    Default: .*\n)?",
            rf'\1    Default: "{value}"\n',
            text,
            count=1,
        )
        assert count == 1, name
    return text


# The checkers.


def test_sam_accepts_it() -> None:
    run(tool("aws/bin/sam"), "validate", "--lint", "--template", str(ROOT / "template.yaml"))


def test_what_sam_makes_of_it_is_lint_free(translated: dict[str, Any], tmp_path: Path) -> None:
    """Cycles, for one, show only there."""
    (tmp_path / "template.json").write_text(json.dumps(translated))
    # SAM puts the type of deployment in the place of the parameter, which is without a use then.
    run(
        tool("aws/bin/cfn-lint"),
        "--ignore-checks",
        "W2001",
        "--regions",
        "eu-west-1",
        "--",
        str(tmp_path / "template.json"),
    )


def test_checkov_finds_nothing_and_each_skip_is_of_use(tmp_path: Path) -> None:
    checkov = tool("checkov/bin/checkov")
    for trigger in TRIGGERS:
        key = "arn:aws:kms:eu-west-1:123456789012:key/k"
        text = with_defaults(
            Trigger=trigger, ForwardQueue="on", SecretKeyArn=key, SecretArn="arn:aws:secretsmanager:::s"
        )
        (tmp_path / f"{trigger}.yaml").write_text(text)
    found = json.loads(
        run(
            checkov,
            "--directory",
            str(tmp_path),
            "--framework",
            "cloudformation",
            "--output",
            "json",
            "--skip-download",
        )
    )
    assert found["summary"]["parsing_errors"] == 0
    assert {(each["check_id"], each["resource"]) for each in found["results"]["failed_checks"]} == set()
    skipped = {
        each["check_id"]: each["check_result"]["suppress_comment"] for each in found["results"]["skipped_checks"]
    }
    assert skipped.keys() == set(re.findall(r"id: (CKV\w+)", TEMPLATE)), "a skip that skips nothing: delete it"
    assert all(len(comment.split()) >= 8 for comment in skipped.values()), "say why it is skipped"
    checked = {each["resource"].rpartition(".")[2] for each in found["results"]["passed_checks"]}
    assert {
        "ServeRole",
        "SyncRole",
        "ForwardRole",
        "SecretKeyPolicy",
        "HttpApi",
        "RestApi",
        "ForwardFunction",
    } <= checked


# Security.


def test_no_key_is_a_parameter_or_a_variable(translated: dict[str, Any]) -> None:
    for name, function in functions(translated).items():
        variables = function.get("Environment", {}).get("Variables", {})
        assert not {"INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK", "INNGEST_EVENT_KEY"} & variables.keys(), name
        assert variables.get("INNGEST_SECRET_ARN") == (None if name == "SyncFunction" else {"Ref": "SecretArn"})
    assert not [name for name in translated["Parameters"] if name.endswith("Key")]


def functions(template: dict[str, Any]) -> dict[str, Any]:
    resources = template["Resources"].items()
    return {name: each["Properties"] for name, each in resources if each["Type"] == "AWS::Lambda::Function"}


def test_each_function_has_a_role_of_its_own_and_a_log_group_with_an_end(translated: dict[str, Any]) -> None:
    resources, roles = translated["Resources"], set()
    for function in functions(translated).values():
        roles.add(function["Role"]["Fn::GetAtt"][0])
        group = resources[function["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["Architectures"] == [{"Ref": "Architecture"}]
    assert len(roles) == len(functions(translated)) == 3
    assert translated["Parameters"]["Architecture"]["Default"] == "arm64"


def test_the_function_url_takes_anybody_who_may_also_invoke(translated: dict[str, Any]) -> None:
    """Since October 2025 new function URLs want both permissions."""
    resources = translated["Resources"]
    assert resources["ServeUrl"]["Properties"] | {"TargetFunctionArn": None} == {
        "AuthType": "NONE",
        "InvokeMode": "BUFFERED",
        "Qualifier": "live",
        "TargetFunctionArn": None,
    }
    alias = {"Ref": "ServeFunctionAliaslive"}
    assert resources["ServeUrlPermission"]["Properties"] == {
        "Action": "lambda:InvokeFunctionUrl",
        "FunctionName": alias,
        "FunctionUrlAuthType": "NONE",
        "Principal": "*",
    }
    assert resources["ServeUrlInvokePermission"]["Properties"] == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": alias,
        "InvokedViaFunctionUrl": True,
        "Principal": "*",
    }


# Versions and their deployment.


def test_every_parameter_of_the_function_makes_a_new_version(translated: dict[str, Any]) -> None:
    """SAM looks at the template's text only. Another description is another version to CloudFormation."""
    resources = translated["Resources"]
    [version] = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Lambda::Version"]
    parameters = translated["Parameters"].keys()
    used = set(refs(resources["ServeFunction"]["Properties"])) & parameters
    described = set(refs(version["Description"]))
    assert used - described == NOT_IN_THE_DESCRIPTION | NOT_OF_A_VERSION
    assert "Revision" in described, "how the others reach the alias"
    assert "Revision" in used, "or else Lambda finds that nothing is new, and publishes nothing"
    conditions = set(refs(translated["Conditions"]["UsesSnapStart"]))
    assert conditions <= described


def test_descriptions_have_room(translated: dict[str, Any]) -> None:
    """Lambda takes 256 characters."""
    longest = {"MemorySize": 5, "Timeout": 3}
    for name, text in PARAMETER.findall(TEMPLATE):
        if found := re.search(r"MaxLength: (\d+)", text):
            longest[name] = int(found[1])
        elif found := re.search(r"AllowedValues: \[(.*)\]", text):
            longest.setdefault(name, max(len(value.strip(' "')) for value in found[1].split(",")))
    resources = translated["Resources"]
    [version] = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Lambda::Version"]
    for text in (version["Description"]["Fn::Sub"], resources["ServeFunction"]["Properties"]["Description"]["Fn::Sub"]):
        assert len(re.sub(r"\$\{(\w+)\}", lambda found: "x" * longest[found[1]], text)) <= 256


def test_new_code_and_a_changed_template_make_a_new_version(
    translate: Callable[..., dict[str, Any]], translated: dict[str, Any]
) -> None:
    def version(template: dict[str, Any]) -> str:
        [name] = [name for name, each in template["Resources"].items() if each["Type"] == "AWS::Lambda::Version"]
        return name

    assert version(translate(DeploymentType="AllAtOnce")) == version(translated)
    assert translated["Resources"]["ServeFunctionAliaslive"]["Properties"]["FunctionVersion"] == {
        "Fn::GetAtt": [version(translated), "Version"]
    }
    assert "AutoPublishAliasAllProperties: true" in TEMPLATE


def test_calls_move_over_by_canary_unless_an_alarm_rings(translated: dict[str, Any]) -> None:
    resources = translated["Resources"]
    group = resources["ServeFunctionDeploymentGroup"]["Properties"]
    assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "Canary10Percent5Minutes"}
    condition, guarded, unguarded = group["AlarmConfiguration"]["Fn::If"]
    assert condition == "IsGuarded"
    assert guarded == {
        "Enabled": True,
        "Alarms": [{"Name": {"Ref": name}} for name in ("NewVersionErrorsAlarm", "ServerErrorsAlarm")],
    }
    assert unguarded == {}
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    dimensions = {
        each["Name"]: each["Value"] for each in resources["NewVersionErrorsAlarm"]["Properties"]["Dimensions"]
    }
    assert dimensions["ExecutedVersion"]["Fn::GetAtt"][1] == "Version"


def test_all_at_once(translate: Callable[..., dict[str, Any]]) -> None:
    group = translate(DeploymentType="AllAtOnce")["Resources"]["ServeFunctionDeploymentGroup"]["Properties"]
    assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "AllAtOnce"}


def test_the_sync_comes_after_the_alias_and_what_leads_to_it(translated: dict[str, Any]) -> None:
    resources = translated["Resources"]
    sync = resources["AppSync"]
    assert {
        *("ServeFunctionAliaslive", "ServeUrlPermission", "ServeUrlInvokePermission"),
        *("HttpApiPermission", "HttpApiApiGatewayDefaultStage", "RestApiPermission", "RestApiliveStage"),
    } <= set(refs(sync))
    timeout = resources["SyncFunction"]["Properties"]["Timeout"]
    assert timeout < sync["Properties"]["ServiceTimeout"], "CloudFormation gives up before the function does"
    config = resources["SyncFunctionEventInvokeConfig"]["Properties"]
    assert config["MaximumRetryAttempts"] == 0, "Lambda tries again when CloudFormation has given up"


def test_the_url_is_the_triggers(translated: dict[str, Any]) -> None:
    condition, function_url, others = translated["Resources"]["AppSync"]["Properties"]["ServeUrl"]["Fn::If"]
    http_condition, http_api, rest_api = others["Fn::If"]
    assert (condition, http_condition) == ("UsesFunctionUrl", "UsesHttpApi")
    assert function_url == {"Fn::Sub": "${ServeUrl.FunctionUrl}api/inngest"}, "a function URL ends in a slash"
    domain = "execute-api.${AWS::Region}.${AWS::URLSuffix}"
    assert http_api == {"Fn::Sub": f"https://${{HttpApi}}.{domain}/api/inngest"}
    assert rest_api == {"Fn::Sub": f"https://${{RestApi}}.{domain}/live/api/inngest"}
    assert translated["Resources"]["RestApiliveStage"]["Properties"]["StageName"] == "live"
    for name in ("HttpApi", "RestApi"):
        paths = translated["Resources"][name]["Properties"]["Body"]["paths"]
        integration = paths["/api/inngest"]["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]
        assert integration["uri"]["Fn::Sub"].endswith("functions/${ServeFunction.Arn}:live/invocations")


def test_alarms_on_errors_throttles_duration_and_5xx(translated: dict[str, Any]) -> None:
    resources = translated["Resources"]
    alarms = {name: each["Properties"] for name, each in resources.items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    metrics = {name: each.get("MetricName") for name, each in alarms.items()}
    assert metrics == {
        "ErrorsAlarm": "Errors",
        "NewVersionErrorsAlarm": "Errors",
        "ThrottlesAlarm": "Throttles",
        "DurationAlarm": None,
        "ServerErrorsAlarm": None,
        "DeadLettersAlarm": "ApproximateNumberOfMessagesVisible",
    }
    assert all(each["TreatMissingData"] == "notBreaching" for each in alarms.values())
    duration = alarms["DurationAlarm"]
    # Milliseconds over seconds, in percent.
    assert duration["Metrics"][0]["Expression"] == {"Fn::Sub": "longest / (10 * ${Timeout})"}
    assert duration["Threshold"] == 90
    assert translated["Mappings"]["Triggers"]["function-url"]["ServerErrors"] == "Url5xxCount"


@pytest.mark.parametrize("name", ["ServeFunction", "SyncFunction", "ForwardFunction"])
def test_handlers_are_where_the_template_says(name: str, translated: dict[str, Any]) -> None:
    module, _, attribute = functions(translated)[name]["Handler"].rpartition(".")
    source = ROOT / f"{module.replace('.', '/')}.py"
    assert source.is_file()
    assert re.search(rf"^(def {attribute}\(|{attribute} = )", source.read_text("utf-8"), re.MULTILINE)


def test_a_batch_is_given_back_in_part(translated: dict[str, Any]) -> None:
    resources = translated["Resources"]
    source = resources["ForwardFunctionMessages"]
    assert source["Condition"] == resources["ForwardFunction"]["Condition"] == "HasForwardQueue"
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    timeout = resources["ForwardFunction"]["Properties"]["Timeout"]
    queue = resources["EventQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * timeout
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    assert translated["Parameters"]["ForwardQueue"]["Default"] == "off"


def test_the_requirements_are_the_projects() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "templates/aws/function/requirements.txt").read_text().splitlines()
    wanted = [*project["dependencies"], *project["optional-dependencies"]["aws"]]
    assert [line for line in lines if not line.startswith("#")] == wanted


def test_the_emulator_and_sam_are_of_one_release() -> None:
    pins = [(ROOT / "requirements" / name).read_text() for name in ("tools.txt", "aws-tools.txt")]
    assert len({re.search(r"^aws-sam-cli==.*$", text, re.MULTILINE)[0] for text in pins}) == 1


def test_the_page_names_every_parameter_and_alarm(translated: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "deploy-aws.md").read_text("utf-8")
    rows = " ".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`(\w+)`", rows))
    alarms = {name for name, each in translated["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert (set(translated["Parameters"]) | alarms) - named == set()
    described = page.partition("### When there is a new version")[2].partition("###")[0]
    assert set(re.findall(r"`(\w+)`", described)) >= NOT_IN_THE_DESCRIPTION
