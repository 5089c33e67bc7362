"""`xnnlint fix --in-place`, ended at random moments and run twice at once: the original must always be there."""
