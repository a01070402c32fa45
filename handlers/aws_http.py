"""The Lambda entrypoint: ``handlers.aws_http.handler``."""

import os

from handlers.workflows.onboarding import account_created
from inngest_serverless import inngest_lambda

# template.yaml says what the app is called, so that one code can serve several.
handler = inngest_lambda([account_created], app_id=os.environ.get("INNGEST_APP_ID", "core"))
