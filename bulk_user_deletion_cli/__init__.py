"""The operator's command line: what a person does with a deployed stack, from a terminal."""
