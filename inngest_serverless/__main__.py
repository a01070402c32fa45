"""``python -m inngest_serverless`` is the command line."""

from inngest_serverless.cli import main

if __name__ == "__main__":
    main()
