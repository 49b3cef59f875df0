"""Options that several commands share, and options that were renamed."""

from __future__ import annotations

import click

from tvdb_assets import deprecation

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON document to stdout."
)


class CommandWithRenamedOptions(click.Command):
    """Accepts the old names of `deprecation.OPTIONS` too, without listing them in the help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Replace the old names of options. Arguments after ``--`` are no options."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [_new_name(arg) for arg in args[:end]] + args[end:])


def _new_name(argument: str) -> str:
    name, equals, value = argument.partition("=")
    rename = deprecation.OPTIONS.get(name)
    if rename is None:
        return argument
    deprecation.warn_of(rename)
    return rename.new + equals + value
