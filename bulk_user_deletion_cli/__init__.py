"""The operator's command line: working with a deployed stack from a terminal."""
