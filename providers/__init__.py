"""WHO we call and HOW they speak: providers, accounts, families, credentials, the only upstream I/O."""
