"""Process what is uploaded to an S3 bucket; ``handlers/aws_uploads.py`` makes events of its notifications."""

from functools import partial
from typing import TypedDict

from inngest_serverless import Concurrency, Context, NonRetriableError, RunFailure, create_function, event_trigger


class Picture(TypedDict):
    """What is known of a picture."""

    key: str
    width: int
    height: int


def inspect(bucket: str, key: str) -> Picture:
    """Read the picture's size."""
    if not key.endswith((".jpg", ".png")):
        raise NonRetriableError(f"{key} in {bucket} is no picture")
    return {"key": key, "width": 4000, "height": 3000}


def resize(key: str, width: int) -> str:
    """Make a smaller one; returns its key."""
    return f"thumbnails/{width}/{key}"


def index(picture: Picture, thumbnails: list[str]) -> str:
    """Put it into the catalogue."""
    return f"{picture['key']} in {len(thumbnails)} sizes"


def quarantine(ctx: Context) -> None:
    """Move away what could not be processed."""
    failure: RunFailure | None = ctx.failure
    if failure is not None:
        ctx.step.run("quarantine", print, failure.event.data["key"], failure.error.message)


@create_function(
    id="upload-processing",
    trigger=event_trigger("aws/s3.object.created", expression="event.data.key.startsWith('uploads/')"),
    concurrency=Concurrency(limit=10, key="event.data.bucket"),
    on_failure=quarantine,
)
def process_upload(ctx: Context) -> str:
    """Look at the picture, make all sizes at once, and enter it into the catalogue."""
    bucket, key = ctx.event.data["bucket"], ctx.event.data["key"]
    picture = ctx.step.run("inspect", inspect, bucket, key)
    widths = [width for width in (200, 800, 1600) if width < picture["width"]]

    def thumbnail(width: int) -> str:
        return ctx.step.run(f"resize-{width}", resize, key, width)

    thumbnails = ctx.group.parallel([partial(thumbnail, width) for width in widths])
    return ctx.step.run("index", index, picture, list(thumbnails))
