"""A program with a pool of two processes, forked before anybody attaches; doubles each number of its standard input."""

import json
import multiprocessing
import os
import sys


def double(number):
    result = number * 2  # IN WORKER
    return [result, os.getpid()]


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print("ready", os.getpid(), flush=True)
        for line in sys.stdin:
            print(json.dumps(pool.apply(double, [int(line)])), flush=True)
