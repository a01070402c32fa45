"""The Lambda entrypoint: ``handlers.aws_http.handler``."""

from handlers.workflows.onboarding import account_created
from inngest_serverless import inngest_lambda

handler = inngest_lambda([account_created], app_id="core")
