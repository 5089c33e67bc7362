"""Findings: rules asked of a plan, what fixing each would unlock, and what a team accepts."""
