"""The search: what to try next, where it runs, what is kept, what a user types."""


def __getattr__(name: str) -> object:
    """`from nas import open_run, load`, looked up when asked for, so that no command pays for them at its start."""
    if name in {"open_run", "load"}:
        from nas import api

        return getattr(api, name)
    raise AttributeError(f"module 'nas' has no attribute {name!r}")
