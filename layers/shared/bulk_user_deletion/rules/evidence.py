"""What is kept to prove what a run did."""


def lock_problem(*, lock_days: int, retention_days: int) -> str:
    """Return why evidence cannot be locked for that long, or an empty string.

    CloudFormation cannot compare two numbers.
    """
    if lock_days <= retention_days:
        return ""
    return (
        f"ObjectLockDays is {lock_days} and RetentionDays {retention_days}: what is locked would"
        " outlive what is kept. ObjectLockDays must not be more than RetentionDays. Nobody was"
        " touched."
    )
