"""What CloudFormation makes of a SAM template, as JSON: run by the interpreter that has SAM's translator.

.tools/aws/bin/python translate_template.py template.yaml BUCKET KEY '{"NAME": "VALUE"}'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from boto3 import Session
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def translate(path: str, bucket: str, key: str, parameters: dict[str, str]) -> dict[str, Any]:
    """The template that CloudFormation goes by, with the code where ``sam deploy`` would have put it."""
    template = yaml_parse(Path(path).read_text("utf-8"))
    template["Globals"]["Function"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    translated: dict[str, Any] = Translator({}, Parser(), boto_session=Session()).translate(template, parameters)
    return translated


if __name__ == "__main__":
    json.dump(translate(*sys.argv[1:4], json.loads(sys.argv[4])), sys.stdout)
