"""A module in a package of the program that the tests freeze."""

import asyncio
import threading

from shop import price


async def handle(amount):
    await asyncio.sleep(0)
    total = price(amount)  # IN HANDLER
    return total


def order(amount):
    return asyncio.run(handle(amount))


def in_thread(amount):
    found = []
    thread = threading.Thread(target=lambda: found.append(price(amount)))  # IN THREAD
    thread.start()
    thread.join()
    return found[0]
