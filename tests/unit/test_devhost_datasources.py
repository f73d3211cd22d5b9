"""Data sources from Grafana's provisioning files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from debugtool.devhost.datasources import DataSource, find_datasource, load_datasources
from debugtool.errors import DebugtoolError, NotFound
from debugtool.manifest import Manifest, read_manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    path = tmp_path / "project" / "src" / "plugin.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"id": "acme-datasource", "name": "Acme", "type": "datasource"}))
    return read_manifest(path)


def provision(manifest: Manifest, text: str, name: str = "all.yaml") -> Path:
    file = manifest.project_root / "provisioning" / "datasources" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_without_files_there_is_one_named_as_the_plugin(manifest: Manifest) -> None:
    (source,) = load_datasources(manifest)

    assert (source.id, source.uid, source.name, source.type) == (1, "acme-datasource", "Acme", "acme-datasource")
    assert source.is_default and source.json_data == {} and source.updated_ms > 0


def test_everything_a_file_says(manifest: Manifest) -> None:
    file = provision(
        manifest,
        """
        apiVersion: 1
        datasources:
          - name: Prometheus
            type: prometheus
          - {name: Acme, type: acme-datasource, uid: $UID, url: "http://${HOST}:1", user: me, database: db,
             basicAuth: true, basicAuthUser: ada, jsonData: {list: ["$HOST", 1, true], price: 5$$},
             secureJsonData: {password: '$__env{PASSWORD}', number: 12}}
        """,
    )

    (source,) = load_datasources(manifest, environment={"UID": "u1", "HOST": "h", "PASSWORD": "p w"})

    assert source == DataSource(
        id=1,
        uid="u1",
        name="Acme",
        type="acme-datasource",
        url="http://h:1",
        user="me",
        database="db",
        basic_auth=True,
        basic_auth_user="ada",
        json_data={"list": ["h", 1, True], "price": "5$"},
        secure_json_data={"password": "p w", "number": "12"},
        updated_ms=file.stat().st_mtime_ns // 1_000_000,
    )


def test_the_default_one_comes_first_and_uids_are_grafanas(manifest: Manifest) -> None:
    provision(manifest, "datasources: [{name: Prometheus, type: acme-datasource}]", "a.yml")
    provision(manifest, '{"datasources": [{"name": "B", "type": "acme-datasource", "isDefault": true}]}', "b.json")
    provision(manifest, "not: read", "c.txt")

    first, second = load_datasources(manifest)

    assert (first.name, first.id, second.name, second.id) == ("B", 2, "Prometheus", 1)
    assert second.uid == "PBFA97CFB590B2093"  # what every Grafana calls a data source of this name
    assert find_datasource((first, second), None) is first
    assert find_datasource((first, second), "Prometheus") is find_datasource((first, second), second.uid) is second


def test_a_value_from_a_file(manifest: Manifest, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    provision(
        manifest, f"datasources: [{{name: A, type: acme-datasource, secureJsonData: {{k: '$__file{{{secret}}}'}}}}]"
    )

    (source,) = load_datasources(manifest)

    assert source.secure_json_data == {"k": "s3cret"}
    secret.unlink()
    with pytest.raises(DebugtoolError, match="is not a usable provisioning file") as error:
        load_datasources(manifest)
    assert str(secret) in error.value.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "while parsing"),
        ("datasources: 12", "no list of objects"),
        ("datasources: [12]", "no list of objects"),
        ("datasources: [{type: acme-datasource}]", "has no `name`"),
        ("datasources: [{name: A, type: acme-datasource, jsonData: 3}]", "is no object"),
    ],
)
def test_files_that_are_none(manifest: Manifest, text: str, why: str) -> None:
    provision(manifest, text)

    with pytest.raises(DebugtoolError) as error:
        load_datasources(manifest)

    assert why in error.value.why


@pytest.mark.parametrize("text", ["", "apiVersion: 1", "deleteDatasources: [{name: A}]", "datasources:"])
def test_files_without_data_sources(manifest: Manifest, text: str) -> None:
    provision(manifest, text)

    assert [source.uid for source in load_datasources(manifest)] == ["acme-datasource"]


def test_a_file_may_be_named(manifest: Manifest, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("datasources: [{name: A, type: acme-datasource, uid: own}]")

    assert load_datasources(manifest, file)[0].uid == load_datasources(manifest, tmp_path)[0].uid == "own"
    with pytest.raises(NotFound, match=r"There is no .*nowhere"):
        load_datasources(manifest, tmp_path / "nowhere")
    with pytest.raises(NotFound, match="'x'"):
        find_datasource(load_datasources(manifest, file), "x")
