"""How long a stack's name may be."""

# The name of a rule has 64 characters, and this stack's begin with its name: the longest of them
# ends in -ExecutionEnded. They have to: their role trusts rules whose name begins so.
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
LONGEST = 64 - len("-ExecutionEnded")


def refusal(name: str) -> str:
    """Say why a stack cannot have this name, or nothing."""
    if len(name) <= LONGEST:
        return ""
    return f"The stack's name {name} has {len(name)} characters, and {LONGEST} are the most."
