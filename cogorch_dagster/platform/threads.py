"""How many threads numerical libraries take."""

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def on_one_thread(*libraries: str) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Run a function with BLAS and OpenMP on one thread: many small products lose more by waiting than they win.

    Beside other work on the same cores a doubly robust estimate takes several times as long on two threads as on one.

    Args:
        libraries: modules that the function may import; the limit holds for what is loaded when it is set.
    """

    def decorated(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @wraps(function)
        def limited(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            from threadpoolctl import threadpool_limits

            for each in libraries:
                import_module(each)
            with threadpool_limits(limits=1):
                return function(*args, **kwargs)

        return limited

    return decorated
