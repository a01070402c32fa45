"""The entrypoint of a Cloud Function that is served over ASGI: ``handlers/gcp_http_async.py``, function ``handler``."""

from inngest_serverless import inngest_gcf_async

# The platform loads this file by itself, under a name of its own: what is beside it is found from here only.
from .workflows.onboarding import account_created

handler = inngest_gcf_async([account_created], app_id="core")
