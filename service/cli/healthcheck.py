"""``python -m service.cli.healthcheck``: exit code 0 where the service on this machine is ready."""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 2.0


def main() -> int:
    """Ask ``/readyz`` on the port that the service was told to listen on."""
    port = int(os.environ.get("PERTOKEN_PORT", "8000"))
    address = f"http://127.0.0.1:{port}/readyz"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as response:
            return 0 if response.status == 200 else 1
    except (urllib.error.URLError, TimeoutError) as error:
        print(f"{address}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
