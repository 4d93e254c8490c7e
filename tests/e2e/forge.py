# SPDX-License-Identifier: MIT
"""Templates as a stranger would write them: changed, with checksums that are right.

Sections are numbered as vmm/template/template.h has them, the header is that of
vmm/template/format.h.
"""

import struct
import zlib

VCPU, TOUCHED = 7, 8
HEADER = 48


def sections(data):
    """Kind, place and length of each."""
    at = HEADER
    while True:
        kind, n = struct.unpack_from("<II", data, at)
        if not kind:
            return
        yield kind, at + 8, n
        at += 8 + (n + 7) // 8 * 8


def forge(of, path, change):
    """A template at `path`: that of the file `of`, whose sections change(kind, bytearray) has had its way with."""
    with open(of, "rb") as f:
        data = bytearray(f.read())
    for kind, at, n in sections(data):
        section = data[at:at + n]
        change(kind, section)
        data[at:at + n] = section
    data[16:20] = bytes(4)
    head_len, = struct.unpack_from("<I", data, 12)
    struct.pack_into("<I", data, 16, zlib.crc32(data[:head_len]))
    with open(path, "wb") as f:
        f.write(data)
    return path


# Parts of a vCPU's state, as vmm/arch/x86_64/state_format.h has them.
CPUID, SREGS, MSRS = 1, 4, 10


def forge_vcpu(of, path, index, part, change):
    """The same, where change(bytearray) has had its way with a part of vCPU `index`."""
    seen = []

    def find(kind, section):
        if kind != VCPU:
            return
        seen.append(kind)
        at = 16
        while len(seen) == index + 1 and at < len(section):
            this, n = struct.unpack_from("<II", section, at)
            at += 8
            if this == part:
                data = section[at:at + n]
                change(data)
                section[at:at + n] = data
                return
            at += (n + 7) // 8 * 8
    return forge(of, path, find)
