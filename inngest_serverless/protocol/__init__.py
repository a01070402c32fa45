"""The Inngest invoke protocol: pure functions and small values; no IO, no globals, time is a parameter."""
