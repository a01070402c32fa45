"""AWS Lambda: the handler."""
