"""The entrypoint of a Cloud Function: ``handlers/gcp_http.py``, function ``handler``."""

from inngest_serverless import inngest_gcf

# The platform loads this file by itself, under a name of its own: what is beside it is found from here only.
from .workflows.onboarding import account_created

handler = inngest_gcf([account_created], app_id="core")
