"""A package of the program that the tests freeze."""

RATE = 3


def price(amount):
    total = amount * RATE  # IN PACKAGE
    return total
