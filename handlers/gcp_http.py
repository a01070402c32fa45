"""The entrypoint of a Cloud Function: ``handlers/gcp_http.py``, function ``handler``."""

from inngest_serverless import inngest_gcf
from inngest_serverless.gcp.logs import use_cloud_logging

# functions-framework may load this file by itself, under a name of its own: what is beside it is found from here only.
from .workflows.onboarding import account_created

use_cloud_logging()
handler = inngest_gcf([account_created], app_id="core")
