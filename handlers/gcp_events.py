"""The entrypoint of a Cloud Function for CloudEvents: ``handlers/gcp_events.py``, function ``handler``."""

from inngest_serverless.gcp.forward import forward_cloud_event

handler = forward_cloud_event(dead_letter="gcp/undeliverable")
