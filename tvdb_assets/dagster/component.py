"""The Dagster component: the definitions from YAML, which ``dg`` checks and scaffolds.

What belongs here: the fields of the YAML and what ``dg scaffold`` writes. What does not: the
definitions themselves (`definitions`).
"""

from __future__ import annotations

from typing import Annotated

import dagster as dg
from pydantic import Field

from tvdb_assets.dagster.definitions import defs

_PART = r"[A-Za-z0-9_]+"
_KEY_PREFIX = (
    "Prefix of the asset keys, and of the names of jobs, sensors, schedules and resources. Its "
    "parts are separated by `/`, or are a list. Default: TVDB_ASSET_KEY_PREFIX."
)
_GROUP_NAME = "Group of all assets. Default: `documents` and `operations`."
_SOURCE = (
    "Folder that holds the documents, or an s3://, gs:// or az:// URL. A path is relative to the "
    "folder in which Dagster runs. Default: TVDB_SOURCE."
)

KeyPart = Annotated[str, Field(pattern=rf"^{_PART}$")]
KeyPrefix = Annotated[str, Field(pattern=rf"^{_PART}(?:/{_PART})*$")]


class DocumentsAttributes(dg.Model):
    """The fields of the component; each that is not given comes from the settings."""

    # `dg scaffold` shows the description of the field, and the YAML schema that of the resolver.
    key_prefix: Annotated[
        KeyPrefix | list[KeyPart] | None,
        dg.Resolver.default(description=_KEY_PREFIX, examples=["handbook", "legal/contracts"]),
    ] = Field(default=None, description=_KEY_PREFIX)
    group_name: Annotated[
        str | None, dg.Resolver.default(description=_GROUP_NAME, examples=["handbook"])
    ] = Field(default=None, description=_GROUP_NAME)
    source: Annotated[
        str | None,
        dg.Resolver.default(
            description=_SOURCE, examples=["./documents", "s3://handbooks/current"]
        ),
    ] = Field(default=None, description=_SOURCE)


class DocumentsScaffolder(dg.Scaffolder[DocumentsAttributes]):
    """Writes a ``defs.yaml`` with the fields that the command line gives."""

    @classmethod
    def get_scaffold_params(cls) -> type[DocumentsAttributes]:
        """The options of ``dg scaffold defs``."""
        return DocumentsAttributes

    def scaffold(self, request: dg.ScaffoldRequest[DocumentsAttributes]) -> None:
        """Write the file."""
        dg.scaffold_component(request, request.params.model_dump(exclude_none=True))


@dg.scaffold_with(DocumentsScaffolder)
class DocumentsComponent(dg.Component, dg.Resolvable, DocumentsAttributes):
    """Documents of a folder or bucket as parsed text, chunks and embeddings in Postgres.

    It has the assets `parsed_documents`, `chunks` and `embeddings`, reports on cost and health,
    and the sensors and schedules that keep them up to date. Several components may be in one code
    location if their key prefixes differ; they share the settings and the database.
    """

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What ``dg list components`` shows."""
        return dg.ComponentTypeSpec(
            owners=["team:documents"], tags=["documents", "embeddings", "postgres", "search"]
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions.

        Raises:
            ConfigurationError: a setting is not valid.
        """
        return defs(key_prefix=self.key_prefix, group=self.group_name, source=self.source)
