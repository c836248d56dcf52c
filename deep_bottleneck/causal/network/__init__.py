"""Which layer of a network feeds which, and what each of them does."""
