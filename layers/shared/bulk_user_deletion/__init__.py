"""Deletes lists of Metric Insights users: in bulk, safely, provably.

Read in this order: `models` (the words), `rules` (pure decisions), `portal`, `ledger`, `bucket`
and `tokens` (the only modules that talk to the outside), `steps` (one per Lambda function).
"""
