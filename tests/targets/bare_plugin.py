"""A plugin that handles nothing."""

from debugtool import plugin

if __name__ == "__main__":
    plugin.serve(object())
