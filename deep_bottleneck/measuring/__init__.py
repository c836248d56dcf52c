"""What is recorded of networks, and the tables that estimators make of it."""
