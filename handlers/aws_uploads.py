"""The Lambda entrypoint that tells Inngest of a bucket's objects: ``handlers.aws_uploads.handler``."""

from inngest_serverless import forward_s3

handler = forward_s3()
