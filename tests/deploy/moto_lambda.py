"""What moto leaves out of Lambda when it creates a stack: aliases, function URLs, how versions are called.

Importing this module is enough: moto finds the models of resources by their being there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from moto.awslambda.models import FunctionUrlConfig, LambdaVersion
from moto.awslambda.utils import get_backend
from moto.core.common_models import CloudFormationModel

if TYPE_CHECKING:
    from moto.awslambda.models import LambdaBackend


class Alias(CloudFormationModel):
    """AWS::Lambda::Alias: its Ref is its ARN."""

    __module__ = "moto.awslambda.models"  # moto reads the service off it

    def __init__(self, arn: str) -> None:
        self.physical_resource_id = arn

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Lambda::Alias"

    @classmethod
    def create_from_cloudformation_json(
        cls, _name: str, template: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> Self:
        backend: LambdaBackend = get_backend(account_id, region_name)
        properties = template["Properties"]
        name, function, version = (properties[key] for key in ("Name", "FunctionName", "FunctionVersion"))
        return cls(backend.create_alias(name, function, version, "", "").arn)


class Url(CloudFormationModel):
    """AWS::Lambda::Url, which ends in a slash."""

    __module__ = "moto.awslambda.models"

    def __init__(self, url: FunctionUrlConfig) -> None:
        self._url = url.url
        self.physical_resource_id = url.function.function_arn

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Lambda::Url"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "FunctionUrl"

    def get_cfn_attribute(self, _attribute: str) -> str:
        return f"{self._url}/"

    @classmethod
    def create_from_cloudformation_json(
        cls, _name: str, template: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> Self:
        backend: LambdaBackend = get_backend(account_id, region_name)
        properties = template["Properties"]
        return cls(backend.create_function_url_config(properties["TargetFunctionArn"], properties))


def _create_version(
    cls: type[LambdaVersion], _name: str, template: dict[str, Any], account_id: str, region_name: str, **_: Any
) -> LambdaVersion:
    function = get_backend(account_id, region_name).publish_version(template["Properties"]["FunctionName"])
    version = cls({"Version": function.version})
    version.physical_resource_id = f"{function.function_arn.removesuffix(f':{function.version}')}:{function.version}"
    return version


# moto has a model of versions, but none of their Ref, the ARN, and of their one attribute.
LambdaVersion.create_from_cloudformation_json = classmethod(_create_version)
LambdaVersion.has_cfn_attr = classmethod(lambda _, attribute: attribute == "Version")
LambdaVersion.get_cfn_attribute = lambda self, _: str(self.version)
