"""Just enough DER (X.690) to ask a rootDSE and a KDC: four functions instead of 0.4 s of imports."""


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element, definite length."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def integer(value: int, tag: int = 0x02) -> bytes:
    """A non-negative INTEGER, or ENUMERATED with tag 0x0A."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def read(data: bytes) -> tuple[int, bytes, bytes]:
    """The first element: tag, content, and what follows it. ValueError when it is not there in full."""
    if len(data) < 2:
        raise ValueError("short")
    tag, size, start = data[0], data[1], 2
    if size & 0x80:
        count = size & 0x7F
        start += count
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + size:
        raise ValueError("short")
    return tag, data[start : start + size], data[start + size :]


def children(data: bytes) -> list[tuple[int, bytes]]:
    """The elements that a content consists of."""
    found = []
    while data:
        tag, content, data = read(data)
        found.append((tag, content))
    return found
