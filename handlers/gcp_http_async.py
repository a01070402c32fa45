"""The entrypoint of a Cloud Function that is served over ASGI: ``handlers/gcp_http_async.py``, function ``handler``."""

from inngest_serverless import inngest_gcf_async
from inngest_serverless.gcp.logs import use_cloud_logging

# functions-framework may load this file by itself, under a name of its own: what is beside it is found from here only.
from .workflows.onboarding import account_created

use_cloud_logging()
handler = inngest_gcf_async([account_created], app_id="core")
