"""AWS's list prices: the only place that knows them. In USD, before any free tier or discount.

Read on 2026-11-20 for REGION, from the pricing pages of the services.
"""

REGION = "us-east-1"
READ_ON = "2026-11-20"

STATE_TRANSITION = 0.025 / 1000  # Step Functions, Standard
LAMBDA_GB_SECOND = 0.0000133334  # arm64
LAMBDA_REQUEST = 0.20 / 1_000_000
LEDGER_WRITE = 0.625 / 1_000_000  # DynamoDB on demand: 1 KB; in a transaction it counts twice
LEDGER_READ = 0.125 / 1_000_000  # 4 KB, consistent
S3_PUT = 0.005 / 1000
S3_GET = 0.0004 / 1000
SECRETS_REQUEST = 0.05 / 10_000
KMS_REQUEST = 0.03 / 10_000
SNS_PUBLISH = 0.50 / 1_000_000

SECRET_MONTH = 0.40
KMS_KEY_MONTH = 1.00
ALARM_MONTH = 0.10
DASHBOARD_MONTH = 3.00
S3_GB_MONTH = 0.023
LEDGER_GB_MONTH = 0.25
