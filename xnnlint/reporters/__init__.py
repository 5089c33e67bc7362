"""Reporters: a report in, text for a person or one JSON document for a program out. They decide nothing."""
