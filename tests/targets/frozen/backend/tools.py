"""A module of the program that the tests freeze."""


def add_one(number):
    assert isinstance(number, int)
    result = number + 1  # IN MODULE
    return result


def apply(number):
    square = lambda value: value * value  # noqa: E731 # IN LAMBDA
    return square(number)


def count(number):
    for index in range(number):
        yield index  # IN GENERATOR


def take(number):
    return list(count(number))
