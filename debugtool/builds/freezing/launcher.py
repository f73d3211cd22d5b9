"""The script of a frozen build: it runs the plugin's entry as `python ENTRY` or `python -m PACKAGE` would.

Runs inside the frozen program, in the plugin's own Python: CPython 3.8 and later, and nothing imported that the
interpreter has not loaded already. `ENTRY` and `IS_DEBUG` are written in front of this file by `builds/spec.py`.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    ENTRY, IS_DEBUG = "", False


def debugtool_run(entry: str, is_debug: bool) -> None:
    """Run the entry, a path below `sys._MEIPASS` without its suffix, as a module `__main__` of its own."""
    import os.path
    from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader
    from types import ModuleType

    if is_debug:
        import debugtool_agent

        debugtool_agent.start(sys.executable)
    path = os.path.join(vars(sys)["_MEIPASS"], *entry.split("/")) + (".py" if is_debug else ".pyc")
    loader = (SourceFileLoader if is_debug else SourcelessFileLoader)("__main__", path)
    main = ModuleType("__main__")
    main.__file__ = path
    main.__loader__ = loader
    package = entry.rpartition("/")[0].replace("/", ".")
    if package:
        __import__(package)
        main.__package__ = package
        main.__spec__ = ModuleSpec(package + ".__main__", loader, origin=path)
    sys.modules["__main__"] = main
    code = loader.get_code("__main__")
    assert code is not None
    exec(code, main.__dict__)


debugtool_run(ENTRY, IS_DEBUG)
