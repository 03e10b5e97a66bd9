"""What an address says about where it leads."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its name; `127.0.0.1.example.com` is not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
