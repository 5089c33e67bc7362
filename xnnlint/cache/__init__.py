"""What xnnlint keeps for itself between runs: where, how entries are stored, and what tells whether they still hold."""
