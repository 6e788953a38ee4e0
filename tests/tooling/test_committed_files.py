"""What no committed file may hold."""

from tests.parts import ROOT, committed_files

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
    files = committed_files()
    assert ROOT / "pyproject.toml" in files
    found = [
        f"{file.relative_to(ROOT)}: {host}"
        for file in files
        for host in REGISTRY_HOSTS
        if host.encode() in file.read_bytes()
    ]
    assert found == []
