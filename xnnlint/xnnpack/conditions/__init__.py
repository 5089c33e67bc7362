"""The conditions of sparse inference, each in one place; they know nothing of findings."""
