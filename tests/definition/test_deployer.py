"""docs/deployer-policy.json: a deployer may create what is in the template, and little else."""

import json
import re
from fnmatch import fnmatchcase

import pytest

from tests.definition.loading import PROJECT, transformed

POLICY = json.loads((PROJECT / "docs/deployer-policy.json").read_text(encoding="utf-8"))
STATEMENTS = POLICY["Statement"]

# What CloudFormation calls to create, read, update and delete a resource of each type, by the
# handlers in the type's schema, for the properties that this template sets:
# https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html#schema-properties-handlers
# Nothing deletes what outlives the stack.
NEEDED = {
    "AWS::CloudWatch::Alarm": "cloudwatch: PutMetricAlarm DescribeAlarms DeleteAlarms TagResource"
    " UntagResource ListTagsForResource",
    "AWS::CloudWatch::Dashboard": "cloudwatch: PutDashboard GetDashboard DeleteDashboards",
    "AWS::DynamoDB::Table": "dynamodb: CreateTable DescribeTable UpdateTable"
    " DescribeContinuousBackups UpdateContinuousBackups DescribeTimeToLive UpdateTimeToLive"
    " DescribeContributorInsights DescribeKinesisStreamingDestination GetResourcePolicy"
    " TagResource UntagResource ListTagsOfResource",
    "AWS::Events::Rule": "events: PutRule DescribeRule DeleteRule PutTargets RemoveTargets"
    " ListTargetsByRule TagResource UntagResource ListTagsForResource",
    "AWS::IAM::ManagedPolicy": "iam: CreatePolicy GetPolicy ListEntitiesForPolicy GetPolicyVersion"
    " ListPolicyVersions CreatePolicyVersion DeletePolicyVersion DeletePolicy",
    "AWS::IAM::Role": "iam: CreateRole PutRolePolicy AttachRolePolicy GetRole GetRolePolicy"
    " ListAttachedRolePolicies ListRolePolicies UpdateRole UpdateRoleDescription"
    " UpdateAssumeRolePolicy DetachRolePolicy DeleteRolePermissionsBoundary PassRole"
    " PutRolePermissionsBoundary DeleteRolePolicy TagRole UntagRole DeleteRole",
    "AWS::KMS::Key": "kms: CreateKey EnableKeyRotation DisableKeyRotation TagResource UntagResource"
    " PutKeyPolicy DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags"
    " UpdateKeyDescription",
    "AWS::Lambda::Function": "lambda: CreateFunction GetFunction GetFunctionConfiguration"
    " GetFunctionCodeSigningConfig GetFunctionRecursionConfig GetRuntimeManagementConfig"
    " UpdateFunctionCode UpdateFunctionConfiguration DeleteFunction ListTags TagResource"
    " UntagResource",
    "AWS::Lambda::LayerVersion": "lambda: PublishLayerVersion GetLayerVersion",
    "AWS::Logs::LogGroup": "logs: CreateLogGroup DescribeLogGroups DeleteLogGroup AssociateKmsKey"
    " DisassociateKmsKey PutRetentionPolicy DeleteRetentionPolicy GetDataProtectionPolicy"
    " TagResource UntagResource ListTagsForResource",
    "AWS::S3::Bucket": "s3: CreateBucket PutBucketTagging PutEncryptionConfiguration"
    " PutLifecycleConfiguration PutBucketNotification PutBucketVersioning"
    " PutBucketPublicAccessBlock PutBucketOwnershipControls PutBucketObjectLockConfiguration"
    " GetLifecycleConfiguration GetEncryptionConfiguration GetBucketVersioning"
    " GetBucketNotification GetBucketTagging",
    "AWS::S3::BucketPolicy": "s3: GetBucketPolicy PutBucketPolicy DeleteBucketPolicy",
    "AWS::SNS::Topic": "sns: CreateTopic GetTopicAttributes SetTopicAttributes DeleteTopic"
    " ListSubscriptionsByTopic GetDataProtectionPolicy TagResource UntagResource"
    " ListTagsForResource",
    "AWS::SNS::TopicPolicy": "sns: SetTopicAttributes GetTopicAttributes",
    "AWS::SQS::Queue": "sqs: CreateQueue GetQueueUrl GetQueueAttributes SetQueueAttributes"
    " DeleteQueue ListQueueTags TagQueue UntagQueue",
    "AWS::SQS::QueuePolicy": "sqs: SetQueueAttributes",
    "AWS::Scheduler::Schedule": "scheduler: CreateSchedule GetSchedule UpdateSchedule"
    " DeleteSchedule",
    "AWS::Scheduler::ScheduleGroup": "scheduler: CreateScheduleGroup GetScheduleGroup"
    " DeleteScheduleGroup ListTagsForResource TagResource UntagResource",
    "AWS::SecretsManager::Secret": "secretsmanager: CreateSecret DescribeSecret UpdateSecret"
    " DeleteSecret GetRandomPassword TagResource UntagResource",
    "AWS::StepFunctions::StateMachine": "states: CreateStateMachine DescribeStateMachine"
    " UpdateStateMachine DeleteStateMachine TagResource UntagResource ListTagsForResource",
}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


ALLOWED = {action for statement in STATEMENTS for action in listed(statement["Action"])}


def test_every_type_of_the_template_is_known_and_no_other() -> None:
    assert {resource["Type"] for resource in transformed().values()} == set(NEEDED)


@pytest.mark.parametrize("type_name", NEEDED)
def test_whoever_deploys_may_make_change_and_remove_each_type(type_name: str) -> None:
    service, *actions = NEEDED[type_name].split()

    for action in actions:
        assert any(fnmatchcase(service + action, allowed) for allowed in ALLOWED), action


def test_whoever_deploys_reads_no_secret_starts_no_run_and_removes_no_evidence() -> None:
    forbidden = [
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "states:StartExecution",
        "lambda:InvokeFunction",
        "dynamodb:DeleteTable",
        "dynamodb:GetItem",
        "s3:DeleteBucket",
        "kms:ScheduleKeyDeletion",
    ]

    for action in forbidden:
        assert not any(fnmatchcase(action, allowed) for allowed in ALLOWED), action


def test_the_policy_names_this_applications_resources_and_fits_into_a_role() -> None:
    for statement in STATEMENTS:
        for resource in listed(statement["Resource"]):
            ours = r"bulk-user-deletion-|ARTIFACT-BUCKET|(Credentials|Token)Secret-|SharedLayer"
            assert resource == "*" or re.search(ours + "|transform/Serverless", resource)
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    assert len(re.sub(r"\s", "", json.dumps(POLICY))) <= 10_240
