"""Names weights for `netgpt models pull tiny`. They are made up: a real entry has the hashes of real files."""

from netgpt import Bundled

TINY = Bundled(
    name="tiny",
    file="tiny-1m.gguf",
    bytes=1_000_000,
    sha256="0" * 64,
    license="Apache-2.0",
    about="an example that cannot be fetched",
    package="netgpt-tiny-files==1.0",
    package_sha256="0" * 64,
    package_bytes=900_000,
    member="netgpt_tiny_files/tiny-1m.gguf",
)
