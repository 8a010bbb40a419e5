"""`python -m frontend_agent.platform --state DIR --port N`: the platform alone, as the demonstration starts it."""

import argparse
import logging
import sys
from pathlib import Path

from frontend_agent.errors import FrontendAgentError
from frontend_agent.platform.server import serve
from frontend_agent.platform.store import Store


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m frontend_agent.platform", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the folder that holds everything it stores")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8480, help="0 takes a free one; the address is printed when ready")
    parser.add_argument(
        "--plain-http-anywhere", action="store_true", help="serve other machines without TLS: tests only"
    )
    parser.add_argument("--admit", metavar="INSTITUTION", help="take whatever lease its agent shows next, and end")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    try:
        if options.admit:
            return admit(options.state, options.admit)
        serve(options.state, options.host, options.port, options.plain_http_anywhere)
    except FrontendAgentError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def admit(state: Path, institution: str) -> int:
    """May run beside the server. For after a platform was restored from a backup older than its agents' leases."""
    store = Store(state).open(alone=False)
    try:
        known = store.admit(institution)
    finally:
        store.close()
    print(f"{institution}: " + ("admitted" if known else "no agent of it is known"))
    return 0 if known else 1


if __name__ == "__main__":
    raise SystemExit(main())
