"""The SNS topic that people subscribe to."""

import boto3

from bulk_user_deletion.store import CONFIG, store_errors


class Topic:
    """SNS, as this application uses it."""

    def __init__(self, topic_arn: str) -> None:
        self._topic_arn = topic_arn
        self._client = boto3.client("sns", config=CONFIG)

    def publish(self, subject: str, body: str) -> None:
        """Send a message to all subscribers."""
        with store_errors("Publishing the notification"):
            self._client.publish(TopicArn=self._topic_arn, Subject=subject, Message=body)
