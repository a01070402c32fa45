"""One invocation of one function: no HTTP, no cloud."""
