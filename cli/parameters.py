"""The library names a parameter, such as `held_out` or `privacy="open"`; the command line shows it as an option."""

from __future__ import annotations

import ast
import functools
import re
import shlex

WRITTEN = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`\n]+))?`")
# parameters whose options have other names
OTHERWISE = {
    "creators": "--creator",
    "keep_best": "--keep best",
    "memory_gib": "--memory",
    "executor": "--dask",
    "passphrase": "--passphrase-file",
    "stale_s": "--stale-after",
    "trusted_keys": "--trusted-key",
}


def as_options(text: str) -> str:
    """Return a message of the library with an option in place of each parameter that is one on the command line."""
    return WRITTEN.sub(_as_option, text) if "`" in text else text


def option_of(name: str) -> str:
    """Return the option that a parameter is."""
    return OTHERWISE.get(name, "--" + name.replace("_", "-"))


def _as_option(found: re.Match[str]) -> str:
    name, value = found[1], found[2]
    if name not in _known():
        return found[0]
    option = option_of(name)
    if value is None or value == "True":
        return option
    if value == "False":
        return f"--no-{option.removeprefix('--')}"
    return f"{option} {_on_command_line(value)}"


def _on_command_line(value: str) -> str:
    """Return a value of Python as an option takes it; a placeholder such as N or FILE stays as it is."""
    try:
        read = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value
    if isinstance(read, list | tuple):
        return ",".join(str(each) for each in read)
    return "none" if read is None else shlex.quote(read) if isinstance(read, str) else value


@functools.cache
def _known() -> frozenset[str]:
    """Return the names of all parameters that are options of some command."""
    import typer

    from .app import app

    names = set(OTHERWISE)
    commands = [typer.main.get_command(app)]
    while commands:
        command = commands.pop()
        names |= {each.name for each in command.params if each.name and each.param_type_name == "option"}
        commands += getattr(command, "commands", {}).values()
    return frozenset(names)
