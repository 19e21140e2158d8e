"""Which version of the code runs, for whatever records what made it."""


def code_version() -> str:
    """The version of cogorch that runs, `unknown` where it is not installed as a package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cogorch")
    except PackageNotFoundError:
        return "unknown"
