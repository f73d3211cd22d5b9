"""What an editor's `attach` says of paths to a frozen program, completed by the relay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from debugtool.relay import FrozenSources


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for path in ("backend/main.py", "backend/shop/__init__.py", "backend/data/a.csv", "src/lib/b.py", "src/lib.ts"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    environment = tmp_path / "backend" / "env"
    (environment / "lib").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("")
    (environment / "lib" / "x.py").write_text("")
    return tmp_path


def sources(project: Path, root: Path, *directories: str) -> FrozenSources:
    return FrozenSources(str(root), [project / name for name in directories], None, os.getpid())


def pairs(arguments: dict[str, list[dict[str, str]]]) -> list[tuple[str, str]]:
    return [(mapping["localRoot"], mapping["remoteRoot"]) for mapping in arguments["pathMappings"]]


def test_each_module_and_package_is_mapped_by_itself(project: Path, tmp_path: Path) -> None:
    root = tmp_path / "bundle"
    arguments, own_code = sources(project, root, "backend", "src").complete({"justMyCode": True})
    assert arguments["justMyCode"]
    assert pairs(arguments) == [
        (f"{project}/backend/main.py", f"{root}/main.py"),
        (f"{project}/backend/shop/", f"{root}/shop/"),
        (f"{project}/src/lib/", f"{root}/lib/"),
    ]
    assert own_code == [f"{root}/main.py", f"{root}/shop", f"{root}/lib"]


def test_a_directory_that_holds_another_one_is_no_package(project: Path, tmp_path: Path) -> None:
    arguments, _ = sources(project, tmp_path / "bundle", "backend", ".").complete({})
    assert "backend" not in {Path(remote).name for _, remote in pairs(arguments)}


def test_the_users_own_mappings_stay_and_stale_ones_go(project: Path, tmp_path: Path) -> None:
    root, other = tmp_path / "bundle", tmp_path / "other"
    other.mkdir()
    kept = {"localRoot": "/home/user/lib", "remoteRoot": str(other)}
    gone = [
        {"localRoot": str(project / "backend"), "remoteRoot": "/tmp/_MEI0000gone"},
        {"localRoot": str(project), "remoteRoot": "."},
        {"localRoot": str(project), "remoteRoot": str(root)},
    ]
    arguments, _ = sources(project, root, "backend").complete({"pathMappings": [*gone, kept]})
    found = arguments["pathMappings"]
    assert found[-1] == kept
    assert not any(mapping in found for mapping in gone)


def test_an_editor_elsewhere_has_the_same_names_under_its_own_directory(project: Path, tmp_path: Path) -> None:
    root = tmp_path / "bundle"
    mapping = {"localRoot": "/Users/ada/backend", "remoteRoot": str(root)}
    arguments, _ = sources(project, root, "backend").complete({"pathMappings": [mapping]})
    assert ("/Users/ada/backend/shop/", f"{root}/shop/") in pairs(arguments)


def test_without_any_source_here_the_editors_directory_stands_for_the_whole(tmp_path: Path) -> None:
    root = tmp_path / "bundle"
    mapping = {"localRoot": "/Users/ada/backend", "remoteRoot": "/tmp/_MEI0000gone"}
    arguments, _ = sources(tmp_path, root).complete({"pathMappings": [mapping]})
    assert pairs(arguments) == [("/Users/ada/backend/", f"{root}/")]


@pytest.mark.parametrize("given", [None, "text", [1, None], [{"localRoot": 1, "remoteRoot": 2}]])
def test_mappings_that_are_none_do_no_harm(project: Path, tmp_path: Path, given: object) -> None:
    arguments, own_code = sources(project, tmp_path / "bundle", "backend").complete({"pathMappings": given})
    assert len(arguments["pathMappings"]) == len(own_code) == 2
