"""Addresses in the AWS console, for people who read a notification or a report."""

from urllib.parse import quote

# https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def execution_link(execution_arn: str) -> str:
    """Return the page of an execution; its ARN where the partition's console is not known."""
    _, partition, _, region, *_ = [*execution_arn.split(":"), "", "", ""]
    if partition not in _CONSOLES:
        return execution_arn
    return (
        f"https://{_CONSOLES[partition]}/states/home?region={region}"
        f"#/v2/executions/details/{execution_arn}"
    )


def object_link(bucket: str, key: str, *, execution_arn: str) -> str:
    """Return the page of an object in the partition and region of an execution, or its address."""
    _, partition, _, region, *_ = [*execution_arn.split(":"), "", "", ""]
    if partition not in _CONSOLES:
        return f"s3://{bucket}/{key}"
    return f"https://{_CONSOLES[partition]}/s3/object/{bucket}?region={region}&prefix={quote(key)}"
