"""While a network is trained: how far its clusters are from the two thirds of zeros, and what would become of it."""
