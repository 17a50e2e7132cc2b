"""The name of a file, as a site has it -> the file."""

from pathlib import Path

from switchguard.errors import SiteError


def below(site: Path, name: str) -> Path:
    """In the site's directory, unless it begins with `/` or `~`. SiteError for a `~` that is nobody's."""
    try:
        return site / Path(name).expanduser()
    except RuntimeError:
        raise SiteError(f"{name!r}: nobody knows which directory {name.split('/')[0]!r} is; write all of it") from None
