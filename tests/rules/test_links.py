"""Links to the AWS console."""

import pytest

from bulk_user_deletion.rules.links import execution_link, object_link

EXECUTION = "arn:{}:states:eu-west-1:123456789012:execution:bulk-user-deletion:run-1"


@pytest.mark.parametrize(
    ("partition", "console"),
    [
        ("aws", "console.aws.amazon.com"),
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
    ],
)
def test_links_lead_to_the_console_of_the_partition_and_region(
    partition: str, console: str
) -> None:
    arn = EXECUTION.format(partition)

    assert execution_link(arn) == (
        f"https://{console}/states/home?region=eu-west-1#/v2/executions/details/{arn}"
    )
    assert object_link("data", "runs/run 1/report.html", execution_arn=arn) == (
        f"https://{console}/s3/object/data?region=eu-west-1&prefix=runs/run%201/report.html"
    )


@pytest.mark.parametrize("arn", [EXECUTION.format("aws-iso"), "", "no arn"])
def test_if_the_console_is_not_known_the_plain_names_are_used(arn: str) -> None:
    assert execution_link(arn) == arn
    assert object_link("data", "k", execution_arn=arn) == "s3://data/k"
