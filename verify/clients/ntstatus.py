"""NTSTATUS codes by name (MS-ERREF 2.3.1)."""

from impacket.nt_errors import ERROR_MESSAGES

SUCCESS = "STATUS_SUCCESS"


def status_text(code: int) -> str:
    """The name of a status, or its number when the table has none."""
    known = ERROR_MESSAGES.get(code & 0xFFFFFFFF)
    return str(known[0]) if known else f"0x{code & 0xFFFFFFFF:08x}"
