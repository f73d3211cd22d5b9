"""debugtool: attach a debugger to backend plugins, the processes that a host program starts."""

__version__ = "0.1.0"
