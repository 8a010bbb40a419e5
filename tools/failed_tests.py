"""The tests that failed in the last run of pytest here, a line each: what its cache says."""

import json
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".pytest_cache" / "v" / "cache" / "lastfailed"

if __name__ == "__main__":
    print(*json.loads(CACHE.read_text("utf-8")), sep="\n")
