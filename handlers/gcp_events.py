"""The entrypoint of a Cloud Function for CloudEvents: ``handlers/gcp_events.py``, function ``handler``."""

from inngest_serverless.gcp.forward import forward_cloud_event
from inngest_serverless.gcp.logs import use_cloud_logging

use_cloud_logging()
handler = forward_cloud_event(dead_letter="gcp/undeliverable")
