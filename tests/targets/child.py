"""A child process to debug: prints a number that it works on."""

import sys


def work(number):
    result = number * 3  # IN CHILD
    return result


print(work(int(sys.argv[1])), flush=True)
