"""What no committed file may hold."""

import subprocess

from tests.parts import ROOT, require

# In pieces, so that this file does not hold what it looks for.
REGISTRY_HOSTS = [
    ".".join(labels)
    for labels in [
        ("pypi", "org"),
        ("pypi", "python", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("maven", "org"),
        ("deb", "debian", "org"),
    ]
]


def test_no_committed_file_names_the_host_of_a_package_registry() -> None:
    # safe.directory: a checkout that belongs to somebody else is read all the same.
    listing = [require("git"), "-c", "safe.directory=*", "ls-files", "--cached", "-z"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [ROOT / name for name in names if name and (ROOT / name).is_file()]
    assert ROOT / "pyproject.toml" in files
    found = [
        f"{file.relative_to(ROOT)}: {host}"
        for file in files
        for host in REGISTRY_HOSTS
        if host.encode() in file.read_bytes()
    ]
    assert found == []
