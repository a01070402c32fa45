"""What the stack under test is given: the code's place, and the secret."""

from __future__ import annotations

__all__ = ["CODE_BUCKET", "CODE_KEY", "SECRET_ARN"]

SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:inngest/prod-AbCdEf"
CODE_BUCKET, CODE_KEY = "code", "app.zip"
