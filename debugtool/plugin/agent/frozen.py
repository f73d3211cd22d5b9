"""What a debugger needs inside a frozen program: the standard library that it lacks, and files for its code's names.

Runs inside targets, loaded by the bootstrap before anything else is imported there, and by `payload.py`: CPython 3.8
and later, and of the standard library only what every interpreter has loaded. A frozen program may lack `__future__`.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Of a standard library's directory: what is no module of it, or what does something when it is imported.
NOT_SERVED = {"site-packages", "dist-packages", "__pycache__", "lib-dynload", "test", "idlelib", "ensurepip", "tkinter"}
NOT_SERVED |= {"sitecustomize", "usercustomize", "antigravity", "this", "turtle", "turtledemo", "lib2to3"}

VARIABLES = "_sysconfigdata_"

# pydevd's wrapper around functions of new threads and processes: it stays on their stacks, above the program's code.
WRAPPER = "pydev_monkey.py"


class Completion:
    """A finder for the modules of the standard library that a frozen program was built without.

    It stands at the end of `sys.meta_path`, so that it replaces nothing, and serves the debugger alone: what the
    program's own `try: import x` finds or does not find stays as it was, but for modules the debugger has imported.

    Args:
        directories: A standard library that fits the interpreter, and the directory of its extension modules.
        trusted: Directories whose code it serves: the debugger's and our own.
    """

    def __init__(self, directories: "list[str]", trusted: "list[str]") -> None:
        import _frozen_importlib_external as files
        from _imp import extension_suffixes
        from posix import listdir

        self.files: "Any" = files
        self.suffixes: "list[str]" = extension_suffixes()
        self.directories = directories
        self.trusted = tuple(directory + "/" for directory in [*trusted, *directories])
        self.finders: "dict[str, Any]" = {}
        found = {entry.partition(".")[0] for directory in directories for entry in listdir(directory)}
        self.names = {name for name in found if name.isidentifier()} - NOT_SERVED
        # sysconfig asks for it by the name that its own build gave it, another build of the same version by another
        self.variables = next((name for name in sorted(found) if name.startswith(VARIABLES)), "")

    def find_spec(self, name: str, path: object = None, target: object = None) -> "Any":
        """Find a module of the standard library, for an import by the debugger only."""
        package, _, last = name.rpartition(".")
        if name.startswith(VARIABLES):
            last = self.variables
        elif name.partition(".")[0] not in self.names:
            return None
        if not self.is_wanted(sys._getframe(1)):
            return None
        for directory in self.directories:
            below = directory + "".join("/" + part for part in package.split(".") if part)
            spec = self.finder(below).find_spec(last)
            if spec is not None and spec.loader is not None:
                is_package = spec.submodule_search_locations is not None
                spec = self.files.spec_from_file_location(
                    name, spec.origin, loader=type(spec.loader)(name, spec.origin)
                )
                if is_package:
                    spec.submodule_search_locations = []  # what else is in the package, nobody finds but through us
                return spec
        return None

    def withdraw(self) -> None:
        """Serve no more. What was imported stays: the debugger's own code uses it, in later sessions too."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]

    def finder(self, directory: str) -> "Any":
        """Give a finder for one directory; its own, so that the interpreter's caches stay as they were."""
        if directory not in self.finders:
            files = self.files
            self.finders[directory] = files.FileFinder(
                directory,
                (files.ExtensionFileLoader, self.suffixes),
                (plain_loader(), files.SOURCE_SUFFIXES),
            )
        return self.finders[directory]

    def is_wanted(self, frame: "Any") -> bool:
        """Say whether an import comes from the debugger: from its code, or from the standard library on its behalf."""
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(self.trusted) and not name.endswith(WRAPPER):
                return True
            if not (name.startswith("<") or name.endswith(WRAPPER) or self.is_standard(name)):
                return False
            frame = frame.f_back
        return False

    def is_standard(self, name: str) -> bool:
        """Say whether code of this name is the program's own standard library's, or PyInstaller's importer's."""
        root = getattr(sys, "_MEIPASS", "") + "/"
        if name.startswith(root):
            name = name[len(root) :].replace("base_library.zip/", "", 1)
        first = name.partition("/")[0].partition(".")[0]
        return first in self.names or "pyimod" in name


def plain_loader() -> "Any":
    """Give a loader of source files that takes bytecode with assertions where there is none without.

    An optimised program, as a release build is, would compile the whole debugger at each attach, and could keep none of
    it: 0.2 s in which its other threads stand still again and again.
    """
    import _frozen_importlib_external as files

    base: "Any" = files.SourceFileLoader

    class PlainLoader(base):  # type: ignore[misc]
        def get_data(self, path: str) -> "Any":
            try:
                return super().get_data(path)
            except OSError:
                optimised = ".opt-%d.pyc" % sys.flags.optimize
                if not path.endswith(optimised):
                    raise
                return super().get_data(path[: -len(optimised)] + ".pyc")  # is checked as the other would have been

    return PlainLoader


def complete(arguments: "dict[str, Any]") -> Completion:
    """Begin to serve the standard library's modules to the debugger.

    Args:
        arguments: Of the payload: `library`, `debugpy`, and `payload`, its own file.
    """
    import posix

    debugpy = arguments["debugpy"]
    trusted = [debugpy, arguments["payload"].rpartition("/")[0]]
    try:
        trusted.append(posix.readlink(debugpy + "/debugpy"))
    except OSError:
        pass  # a copy
    completion = Completion(arguments["library"], trusted)
    sys.meta_path.append(completion)
    return completion


class Names:
    """What pydevd makes of the names of a frozen program's code: relative ones are files below `sys._MEIPASS`.

    Left to itself it looks for them in the working directory and on `sys.path`, and takes breakpoints in files that it
    does not find for mistakes.

    Args:
        root: `sys._MEIPASS`.
        file_utils: The module `pydevd_file_utils`.
        api: The module `_pydevd_bundle.pydevd_api`.
    """

    def __init__(self, root: str, file_utils: "Any", api: "Any") -> None:
        self.root = root
        self.resolve = file_utils._apply_func_and_normalize_case
        self.exists = file_utils.exists
        self.lines = api._get_code_lines
        self.entry = entry_code()  # looked for now: a fork may have no thread that runs it
        self.own: "list[str]" = []
        self.libraries: "list[str]" = []

    def resolve_below_root(self, filename: str, function: "Any", is_absolute: bool, normalize: bool) -> "Any":
        """Stand in for `_apply_func_and_normalize_case`."""
        if not is_absolute and not filename.startswith("<"):
            filename, is_absolute = self.root + "/" + filename, True
        return self.resolve(filename, function, is_absolute, normalize)

    def is_known(self, filename: str) -> "Any":
        """Stand in for `exists`: a module in the program's archive exists as much as a file."""
        return self.exists(filename) or self.code_of(filename) is not None

    def code_lines(self, code: "Any") -> "Any":
        """Stand in for `_get_code_lines`: of a code object, or of a source file, which may be in the archive only."""
        if isinstance(code, str):
            code = self.code_of(code) or code
        return self.lines(code)

    def code_of(self, filename: str) -> "Any":
        """Give the code of a source file below the root, in whatever form the program holds it; None without one."""
        import pkgutil

        if not filename.startswith(self.root + "/") or not filename.endswith(".py"):
            return None
        name = filename[len(self.root) + 1 : -len(".py")]
        if self.entry is not None and self.entry.co_filename in (name + ".py", filename):
            return self.entry
        module = name[: -len("/__init__")] if name.endswith("/__init__") else name
        directory = (self.root + "/" + module).rpartition("/")[0]
        module = module.replace("/", ".")
        finders: "list[Any]" = [pkgutil.get_importer(directory)]
        # PyInstaller before 6: one finder for the whole archive
        finders += [finder for finder in sys.meta_path if type(finder).__name__ == "PyiFrozenImporter"]
        for finder in finders:
            spec = finder.find_spec(module) if finder is not None else None
            if spec is not None and hasattr(spec.loader, "get_code"):
                return spec.loader.get_code(module)
        return None


def entry_code() -> "Any":
    """Give the code of the program's entry: it is no module that a finder knows, but the main thread runs it."""
    main = vars(sys.modules["__main__"])
    for innermost in sys._current_frames().values():
        frame: "Any" = innermost
        while frame is not None:
            if frame.f_code.co_name == "<module>" and frame.f_globals is main:
                return frame.f_code
            frame = frame.f_back
    return None


def prepare(root: str) -> None:
    """Make pydevd, which has been imported, fit for a frozen program; done once for the life of the process.

    Args:
        root: `sys._MEIPASS`.
    """
    files: "Any" = sys.modules["pydevd_file_utils"]
    if hasattr(files, "debugtool_names"):
        return
    from _pydevd_bundle import pydevd_api
    from _pydevd_bundle.pydevd_filtering import FilesFiltering

    names = files.debugtool_names = Names(root, files, pydevd_api)
    files._apply_func_and_normalize_case = names.resolve_below_root
    files.exists = names.is_known
    files.error_once = lambda *words: None  # of breakpoints in files without a mapping, on the plugin's stderr
    pydevd_api._get_code_lines = names.code_lines
    files.NORM_PATHS_CONTAINER.clear()
    files.NORM_PATHS_AND_BASE_CONTAINER.clear()
    set_up = FilesFiltering.__init__

    def set_up_with_own_code(filtering: "Any") -> None:
        set_up(filtering)
        filtering.set_library_roots(names.libraries)
        filtering.set_project_roots(names.own)

    FilesFiltering.__init__ = set_up_with_own_code  # also for the debugger that pydevd makes in a fork
    leave_own_kind_alone(sys.modules["_pydev_bundle.pydev_monkey"])


def leave_own_kind_alone(monkey: "Any") -> None:
    """Keep pydevd's arguments off the command lines of children that are this program again.

    pydevd takes every program with `python` in its name for an interpreter. A frozen one, given pydevd's arguments,
    would start as one more plugin, or not see the arguments by which it knows that it is a worker of multiprocessing.
    """
    import os

    is_python, own = monkey.is_python, os.path.basename(sys.executable)
    monkey.is_python = lambda path: os.path.basename(os.fsdecode(path)) != own and is_python(path)


def tell_own_code(own: "list[str]", arguments: "dict[str, Any]") -> None:
    """Tell pydevd what is the user's own code and what is a library, for `justMyCode` and exceptions.

    Left to itself it takes the directory that `threading` came from for one of libraries, and here that is the whole
    program.

    Args:
        own: Files and directories of the user's code below `sys._MEIPASS`; when empty, all is but standard library.
        arguments: Of the payload.
    """
    names: "Names" = sys.modules["pydevd_file_utils"].debugtool_names
    completion = arguments.get("completion")
    standard = set(getattr(sys, "stdlib_module_names", ())) if completion is None else completion.names
    libraries = [arguments["debugpy"], names.root + "/base_library.zip", *arguments.get("library", ())]
    for name in sorted(standard):
        libraries += [names.root + "/" + name, names.root + "/" + name + ".py"]
    names.own, names.libraries = own, libraries
