"""What each Lambda function does, one module per function, with its adapters passed in."""
