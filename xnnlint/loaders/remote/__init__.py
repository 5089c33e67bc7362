"""Models that are somewhere else: in a bucket, on a web server. They are found there, fetched, and then read as files.

fsspec and what it needs are imported where an address is opened, and nowhere else.
"""
