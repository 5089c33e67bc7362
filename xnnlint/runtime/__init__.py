"""The real LiteRT runtime as judge: runs models in child processes and reports what happened."""
