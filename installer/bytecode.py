"""Compiles every module beneath a folder, as a program of its own: `python -P -S bytecode.py ROOT PLACE PART PARTS`.

The bytecode counts without a look at the source (PEP 552, unchecked): a program never changes after it was written. One process
takes each PARTS-th file in their order, because which constants share an object depends on what was compiled before.
"""

import py_compile
import sys
from pathlib import Path


def main(root: Path, place: str, part: int, parts: int) -> None:
    for path in sorted(root.rglob("*.py"))[part::parts]:
        name = path.relative_to(root).as_posix()
        try:
            py_compile.compile(
                str(path),
                dfile=f"{place}/{name}",
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:
            continue  # a few wheels hold templates and files for other Pythons; who imports them is told then


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
