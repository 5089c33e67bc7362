"""Work shared out to the workers of a dask cluster, here or on many machines; none is lost, and none is done twice.

dask is imported in `client` and nowhere else.
"""
