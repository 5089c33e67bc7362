"""What goes wrong on the way to an address, in one sentence; and whether it may go right when it is tried again.

The packages behind fsspec each have exceptions of their own. They are told by the names of their classes, so that none
of the packages has to be imported for it.
"""

from __future__ import annotations

import errno

from msgspec import Struct

_BUSY = (errno.EBUSY, errno.EIO, getattr(errno, "EREMOTEIO", errno.EIO), errno.ECONNRESET, errno.EPIPE)
# botocore; google.auth; s3fs gives PermissionError for what the server says, and gcsfs an OSError.
_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "DefaultCredentialsError",
    "RefreshError",
}
_TIMEOUT = {
    "TimeoutError",
    "TimeoutException",
    "FSTimeoutError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ServerTimeoutError",
}
_UNREACHED = {
    "ConnectionError",
    "ClientConnectionError",
    "ClientPayloadError",
    "EndpointConnectionError",
    "HTTPClientError",
    "IncompleteRead",
    "IncompleteReadError",
    "NetworkError",
    "RemoteProtocolError",
    "ResponseStreamingError",
    "gaierror",
}
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; of a public bucket, FSSPEC_S3_ANON=true",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
    "gcs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
    "hf": "set HF_TOKEN, or run `hf auth login`",
}


class Fault(Struct, frozen=True):
    """What went wrong.

    Attributes:
        problem, advice: as in ModelError.
        may_pass: whether to try again.
    """

    problem: str
    advice: str = ""
    may_pass: bool = False


def fault_of(error: BaseException, scheme: str) -> Fault:
    """What an exception of fsspec, or of what is behind it, means.

    Args:
        scheme: of the address.
    """
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None and _status(error.__cause__) != 404:
        error = error.__cause__  # fsspec says so of whatever fails on the web
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return Fault("there is no room for it in the temporary folder", "set TMPDIR to another one")
    kinds = {kind.__name__ for kind in type(error).__mro__}
    status = _status(error)
    if isinstance(error, FileNotFoundError) or status == 404:
        return Fault("nothing is there, or it may not be seen", "check the address, and which account is used")
    if kinds & _NO_CREDENTIALS:
        return Fault("no credentials were found for it", _CREDENTIALS.get(scheme, ""))
    if isinstance(error, PermissionError) or status in (401, 403) or str(error).startswith("Forbidden: "):
        return Fault("access is denied", _CREDENTIALS.get(scheme, ""))
    if kinds & _TIMEOUT:
        return Fault("the server did not answer in time", "try again later", may_pass=True)
    if kinds & _UNREACHED:
        return Fault(f"the server cannot be reached ({_words(error)})", "check the network", may_pass=True)
    if status is not None:
        return Fault(f"the server answered with the error {status}", may_pass=status == 429 or status >= 500)
    busy = isinstance(error, OSError) and error.errno in _BUSY
    return Fault(f"it cannot be fetched ({_words(error)})", may_pass=busy)


def _status(error: BaseException) -> int | None:
    """The status of an answer of the web, as aiohttp, requests, gcsfs, huggingface_hub and botocore have it; s3fs keeps
    it as the cause."""
    answer = getattr(error, "response", None)
    of_boto = answer.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(answer, dict) else None
    named = [getattr(error, name, None) for name in ("status", "status_code", "code")]
    for status in (*named, of_boto, getattr(answer, "status_code", None)):
        if isinstance(status, int) and status >= 400:
            return status
    return None if error.__cause__ is None else _status(error.__cause__)


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{text[:200]}..." if len(text) > 200 else text or type(error).__name__
