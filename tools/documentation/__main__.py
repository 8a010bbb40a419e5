"""`tools/site`: the documentation as a site."""

import argparse
import sys
from pathlib import Path

from tools.documentation.build import NotBuilt, build


def main() -> None:
    arguments = argparse.ArgumentParser(prog="tools/site", description="Make the documentation as a site, offline.")
    arguments.add_argument("--out", type=Path, default=Path("site"), help="where to; what is there is replaced (site)")
    folder = arguments.parse_args().out
    try:
        build(folder)
    except NotBuilt as problem:
        sys.exit(str(problem))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}/index.html: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
