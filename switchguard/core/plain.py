"""Words from a network or a person -> the same without what steers a terminal, or makes one line of a log into two."""


def plain(text: str) -> str:
    """A middle dot for each character that is not printable (Unicode's categories Other and Separator, the space
    excepted): control characters, line ends, direction marks."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "·" for letter in text)
