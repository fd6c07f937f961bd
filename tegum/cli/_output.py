"""Output of commands: results on stdout as lines or JSON, files whole or not at all."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

# Adds a command: name, what runs it, a line about it, and its description.
Command = Callable[[str, Callable[[argparse.Namespace], int], str, str], argparse.ArgumentParser]


def write(path: Path, certificate: object) -> None:
    """Write a certificate as JSON; InputError if that is not possible."""
    from ..numerics._files import write_atomically
    from ..theory import InputError

    try:
        write_atomically(path, json.dumps(certificate) + "\n")
    except OSError as error:
        raise InputError(f"FILE must be writable, but {path} is not: {error.strerror}") from None


def show(result: dict[str, object], as_json: bool) -> None:
    """Print a result, a line for each of its parts."""
    if as_json:
        print(json.dumps(result))
        return
    absent = {"naive_boundary": "none up to importance 1", "proved": "undecided within the search's limit"}
    width = max(15, *map(len, result))
    for key, value in result.items():
        shown = (
            [f"{x:.8f}" for x in value]
            if isinstance(value, list)
            else [absent.get(key, "unknown") if value is None else str(value)]
        )
        print(f"{key.replace('_', ' '):<{width}} {' '.join(shown)}")
