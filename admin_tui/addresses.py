"""What an address says about where it leads."""


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its name."""
    return host in {"localhost", "::1"} or host.startswith("127.")
