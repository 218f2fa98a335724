"""Links to the AWS console, for people who read a notification or a report."""

from urllib.parse import quote

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


def object_link(bucket: str, key: str, *, execution_arn: str) -> str:
    """Return the console page of an object, in an execution's region, or its address."""
    _, partition, _, region, *_ = [*execution_arn.split(":"), "", "", ""]
    if partition not in _CONSOLES:
        return f"s3://{bucket}/{key}"
    return f"https://{_CONSOLES[partition]}/s3/object/{bucket}?region={region}&prefix={quote(key)}"
