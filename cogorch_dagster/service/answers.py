"""How the service says no: one JSON form, `{"error": code, "message": text}`, for every error."""

import logging

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cogorch_dagster.errors import InvalidInput, Refused, Unavailable

log = logging.getLogger("cogorch.service")

RETRY_AFTER_S = 1
_NOT_FOUND = {"unknown_policy", "unknown_version", "no_active_version"}


class ErrorAnswer(BaseModel):
    """Every answer that is not a success."""

    error: str = Field(description="A stable code in snake_case.")
    message: str = Field(description="Names the value, the bound and the remedy.")


class Denied(Exception):
    """No token in force (401), or one without the scope (403)."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error


class Unacceptable(Exception):
    """A request whose form keeps it out as a whole: 400, 413 or 415."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error


class Busy(Exception):
    """More work waits than the service keeps; the caller comes back later."""


def refusal(status: int, error: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": error, "message": message}, status, headers)


def is_connection_lost(error: sa.exc.DBAPIError) -> bool:
    """Whether the database went away, rather than refused the statement."""
    return error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)


def _denied(_: Request, error: Exception) -> Response:
    assert isinstance(error, Denied)  # noqa: S101
    headers = {"WWW-Authenticate": 'Bearer realm="cogorch"'} if error.status == 401 else None
    return refusal(error.status, error.error, str(error), headers)


def _unacceptable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unacceptable)  # noqa: S101
    # The rest of a body that is too large is not read, so the connection cannot carry another request.
    headers = {"Connection": "close"} if error.status == 413 else None
    return refusal(error.status, error.error, str(error), headers)


def _away(error_code: str, message: str) -> Response:
    return refusal(503, error_code, message, {"Retry-After": str(RETRY_AFTER_S)})


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101
    return refusal(404 if error.reason in _NOT_FOUND else 409, error.reason, str(error))


def _database(_: Request, error: Exception) -> Response:
    assert isinstance(error, sa.exc.DBAPIError)  # noqa: S101
    if is_connection_lost(error):
        log.warning("PostgreSQL went away during a request: %s", str(error.orig).strip().partition("\n")[0])
        return _away("database_unavailable", "PostgreSQL went away; nothing of this request was stored, send it again")
    if isinstance(error, sa.exc.DataError):
        return refusal(422, "not_storable", "PostgreSQL cannot hold a value of this request; send its rows one by one")
    # The parameters of the statement are the caller's rows; they stay out of the log.
    log.error("PostgreSQL refused a statement: %s", str(error.orig).strip())
    return refusal(500, "database_error", "PostgreSQL refused the statement; see the log of the service")


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    problems = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
    return refusal(422, "invalid_request", problems)


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return refusal(error.status_code, f"http_{error.status_code}", str(error.detail), dict(error.headers or {}))


def install(app: FastAPI) -> None:
    """Give every error of the engine its status and the one JSON form."""
    app.add_exception_handler(Denied, _denied)
    app.add_exception_handler(Unacceptable, _unacceptable)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(InvalidInput, lambda _, error: refusal(422, "invalid_input", str(error)))
    app.add_exception_handler(Unavailable, lambda _, error: _away("database_unavailable", str(error)))
    app.add_exception_handler(Busy, lambda _, error: _away("busy", str(error)))
    app.add_exception_handler(sa.exc.DBAPIError, _database)
    app.add_exception_handler(sa.exc.TimeoutError, lambda _, error: _away("busy", f"no free connection: {error}"))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
