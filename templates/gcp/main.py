"""What the platform loads; scripts/deploy_gcp puts it beside the packages."""  # noqa: INP001 - as the platform wants it

from handlers.gcp_http import handler

__all__ = ["handler"]
