"""Makes a zip archive that depends on the names and contents of its files only.

zip.py OUT DIRECTORY NAMES [INTERPRETER]

NAMES is a file with paths below DIRECTORY, one in a line. With an interpreter, the archive is a program.
"""

import os
import stat
import sys
import zipfile

# The first day that the format has.
DATE = (1980, 1, 1, 0, 0, 0)


def files(path):
    """The files and links at and below a path, in the order of their names."""
    if os.path.isdir(path) and not os.path.islink(path):
        for name in sorted(os.listdir(path)):
            yield from files(os.path.join(path, name))
    else:
        yield path


def main(out, directory, names, interpreter=None):
    with open(names, encoding="utf-8") as lines:
        paths = [line.rstrip("\n") for line in lines]
    with open(out, "wb") as file:
        if interpreter:
            file.write(b"#!" + os.fsencode(interpreter) + b"\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            made = {""}

            def make(directory):
                """Adds a directory and those above it: packages without __init__.py are found by it."""
                if directory not in made:
                    made.add(directory)
                    make(os.path.dirname(directory))
                    entry = zipfile.ZipInfo(directory + "/", DATE)
                    entry.create_system = 3
                    entry.external_attr = (stat.S_IFDIR | 0o755) << 16 | 0x10
                    archive.writestr(entry, b"")

            for path in paths:
                for found in files(os.path.join(directory, path)):
                    name = os.path.relpath(found, directory)
                    make(os.path.dirname(name))
                    entry = zipfile.ZipInfo(name, DATE)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.create_system = 3
                    if os.path.islink(found):
                        mode, content = stat.S_IFLNK | 0o777, os.fsencode(os.readlink(found))
                    else:
                        is_executable = os.stat(found).st_mode & 0o100
                        mode = stat.S_IFREG | (0o755 if is_executable else 0o644)
                        with open(found, "rb") as source:
                            content = source.read()
                    entry.external_attr = mode << 16
                    archive.writestr(entry, content)
    if interpreter:
        os.chmod(out, 0o755)


main(*sys.argv[1:])
