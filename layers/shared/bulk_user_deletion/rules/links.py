"""Links to the AWS console, for people who read a notification or a report."""

from urllib.parse import quote, urlsplit

# https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def execution_link(execution_arn: str) -> str:
    """Return the console page of an execution, or its ARN if the partition is unknown."""
    _, partition, _, region, *_ = [*execution_arn.split(":"), "", "", ""]
    if partition not in _CONSOLES:
        return execution_arn
    return (
        f"https://{_CONSOLES[partition]}/states/home?region={region}"
        f"#/v2/executions/details/{execution_arn}"
    )


def stack_of(execution_arn: str) -> str:
    """Return the name of the stack that an execution belongs to: its state machine has the same."""
    return [*execution_arn.split(":"), *[""] * 7][6]


def portal_host(portal_url: str) -> str:
    """Return the host of a portal, with its port if the address names one, in ASCII."""
    host = urlsplit(portal_url).netloc
    try:
        return host.encode("idna").decode()
    except UnicodeError:  # not a name that DNS knows; the portal will not be reached under it
        return host.encode("ascii", "replace").decode()


def object_link(bucket: str, key: str, *, execution_arn: str) -> str:
    """Return the console page of an object, in an execution's region, or its address."""
    _, partition, _, region, *_ = [*execution_arn.split(":"), "", "", ""]
    if partition not in _CONSOLES:
        return f"s3://{bucket}/{key}"
    return f"https://{_CONSOLES[partition]}/s3/object/{bucket}?region={region}&prefix={quote(key)}"
