"""Whether sparse pays: variants of a model timed side by side, here or on a device, operator by operator."""
