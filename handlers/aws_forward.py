"""The Lambda entrypoint of a queue's forwarder: ``handlers.aws_forward.handler``."""

from inngest_serverless import forward_sqs

handler = forward_sqs()
