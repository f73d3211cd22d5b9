"""Projects and builds: what `debugtool new` and `debugtool build` make."""

from debugtool.builds.backend import PythonBackend, backend_manifest, find_python_backend
from debugtool.builds.editable import EditableBuild, build_editable
from debugtool.builds.entry import find_entry, source_roots
from debugtool.builds.frozen import FreezeRequest, FrozenBuild, build_frozen
from debugtool.builds.go_build import BuiltGo, GoBuildRequest, build_go, is_go_plugin, is_go_project
from debugtool.builds.interpreter import check_interpreter, find_interpreter, imports_debugtool
from debugtool.builds.project import Project, create_project, name_problem
from debugtool.builds.syntax import check_syntax

__all__ = [
    "BuiltGo",
    "EditableBuild",
    "FreezeRequest",
    "FrozenBuild",
    "GoBuildRequest",
    "Project",
    "PythonBackend",
    "backend_manifest",
    "build_editable",
    "build_frozen",
    "build_go",
    "check_interpreter",
    "check_syntax",
    "create_project",
    "find_entry",
    "find_interpreter",
    "find_python_backend",
    "imports_debugtool",
    "is_go_plugin",
    "is_go_project",
    "name_problem",
    "source_roots",
]
