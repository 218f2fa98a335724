"""The maximum length of a stack's name."""

# The name of a rule has at most 64 characters, and this stack's rules start with the stack's name;
# the longest ends in -ExecutionEnded. They must: their role trusts rules by this prefix.
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
LONGEST = 64 - len("-ExecutionEnded")


def refusal(name: str) -> str:
    """Return why a stack cannot have this name, or an empty string."""
    if len(name) <= LONGEST:
        return ""
    return f"The stack's name {name} has {len(name)} characters, and may have at most {LONGEST}."
