"""The data sources a plugin is asked for: from Grafana's provisioning files, or one default."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from debugtool.errors import DebugtoolError, NotFound
from debugtool.manifest import Manifest

_VARIABLE = re.compile(r"\$(\$)|\$__(env|file)\{([^}]*)\}|\$\{(\w+)\}|\$([A-Za-z_]\w*)")


@dataclass(frozen=True)
class DataSource:
    """One configured data source.

    Attributes:
        id: Number, from 1.
        uid: What the HTTP API and dashboards call it.
        name: Its human name.
        type: Plugin id.
        json_data: Its settings; `secure_json_data` the secret ones, decrypted.
        updated_ms: When it was changed last, in ms since the epoch: a plugin makes a new instance when it differs.
    """

    id: int
    uid: str
    name: str
    type: str
    url: str = ""
    user: str = ""
    database: str = ""
    basic_auth: bool = False
    basic_auth_user: str = ""
    is_default: bool = False
    json_data: Mapping[str, object] = field(default_factory=dict)
    secure_json_data: Mapping[str, str] = field(default_factory=dict)
    updated_ms: int = 0


def load_datasources(
    manifest: Manifest, path: Path | None = None, environment: Mapping[str, str] | None = None
) -> tuple[DataSource, ...]:
    """Read the data sources of a plugin's type, the default one first.

    Args:
        manifest: The plugin.
        path: A provisioning file, or a directory of such files; `provisioning/datasources` of the project by default.
        environment: For `$NAME`, `${NAME}` and `$__env{NAME}` in values; that of this process by default.

    Returns:
        At least one: without a provisioned one, a data source without settings whose uid is the plugin's id.

    Raises:
        NotFound: `path` does not exist.
        DebugtoolError: A file is no provisioning file.

    Source:
        Format and uids: Grafana's pkg/services/provisioning/datasources (values.go, types.go).
    """
    environment = os.environ if environment is None else environment
    entries = [
        (file, entry) for file in _files(manifest, path) for entry in _entries(file) if entry.get("type") == manifest.id
    ]
    found = [_read(file, entry, number, environment) for number, (file, entry) in enumerate(entries, start=1)]
    if not found:
        return (_default(manifest),)
    return tuple(sorted(found, key=lambda source: not source.is_default))


def find_datasource(datasources: Sequence[DataSource], uid: str | None) -> DataSource:
    """Pick a data source by uid or name; the first one without a uid.

    Raises:
        NotFound: There is none of that uid.
    """
    if uid is None:
        return datasources[0]
    for source in datasources:
        if uid in (source.uid, source.name):
            return source
    known = ", ".join(source.uid for source in datasources)
    raise NotFound(f"There is no data source {uid!r}.", why=f"Known: {known}.", next_step="Give one of these uids.")


def _default(manifest: Manifest) -> DataSource:
    return DataSource(1, manifest.id, manifest.name, manifest.id, is_default=True, updated_ms=_modified(manifest.path))


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns // 1_000_000


def _files(manifest: Manifest, path: Path | None) -> list[Path]:
    directory = path or manifest.project_root / "provisioning" / "datasources"
    if directory.is_dir():
        return sorted(file for file in directory.iterdir() if file.suffix in (".yaml", ".yml", ".json"))
    if path is None:
        return []
    if not path.exists():
        raise NotFound(f"There is no {path}.", why="It was given as --provisioning.", next_step="Correct the path.")
    return [path]


def _entries(file: Path) -> list[dict[str, object]]:
    import yaml

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _unusable(file, str(error)) from error
    listed = document.get("datasources") if isinstance(document, dict) else None
    if listed is None:
        return []  # Grafana's own kind of file may hold only apiVersion, or deleteDatasources
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise _unusable(file, "`datasources` is no list of objects.")
    return listed


def _unusable(file: Path, why: str) -> DebugtoolError:
    return DebugtoolError(
        f"{file} is not a usable provisioning file.",
        why=why,
        next_step="Correct it: https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources",
    )


def _read(file: Path, entry: dict[str, object], number: int, environment: Mapping[str, str]) -> DataSource:
    values = _expand(entry, file, environment)
    assert isinstance(values, dict)
    name = _text(values, "name")
    if not name:
        raise _unusable(file, "A data source has no `name`.")
    json_data, secure = values.get("jsonData") or {}, values.get("secureJsonData") or {}
    if not isinstance(json_data, dict) or not isinstance(secure, dict):
        raise _unusable(file, f"`jsonData` or `secureJsonData` of {name} is no object.")
    return DataSource(
        id=number,
        uid=_text(values, "uid") or _uid_of(name),
        name=name,
        type=_text(values, "type"),
        url=_text(values, "url"),
        user=_text(values, "user"),
        database=_text(values, "database"),
        basic_auth=values.get("basicAuth") is True,
        basic_auth_user=_text(values, "basicAuthUser"),
        is_default=values.get("isDefault") is True,
        json_data=json_data,
        secure_json_data={str(key): str(value) for key, value in secure.items()},
        updated_ms=_modified(file),
    )


def _text(values: dict[str, object], key: str) -> str:
    value = values.get(key)
    return "" if value is None else str(value)


def _uid_of(name: str) -> str:
    """Give the uid that Grafana makes from a name: the start of its SHA-256."""
    return f"P{hashlib.sha256(name.encode()).hexdigest()[:16].upper()}"


def _expand(value: object, file: Path, environment: Mapping[str, str]) -> object:
    """Put variables into every text of a document."""
    if isinstance(value, dict):
        return {key: _expand(item, file, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, file, environment) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        escaped, kind, argument, braced, plain = match.groups()
        if escaped:
            return "$"
        if kind == "file":
            return _content(Path(argument), file)
        return environment.get(argument or braced or plain or "", "")

    return _VARIABLE.sub(replace, value)


def _content(path: Path, file: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise _unusable(file, f"It names the file {path}: {error}.") from error
