#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""extract-vmlinux.py BZIMAGE OUT: the ELF kernel inside a compressed one.

QEMU can start an ELF kernel directly, which spares the guest its slow decompression.
"""
import lzma
import sys
import zlib

KINDS = (
    (b"\xfd7zXZ\0", lambda data: lzma.LZMADecompressor().decompress(data)),
    (b"\x1f\x8b\x08", lambda data: zlib.decompressobj(31).decompress(data)),
)


def main():
    with open(sys.argv[1], "rb") as f:
        image = f.read()
    for magic, unpack in KINDS:
        at = -1
        while (at := image.find(magic, at + 1)) >= 0:
            try:
                kernel = unpack(image[at:])
            except (lzma.LZMAError, zlib.error, EOFError):
                continue
            if kernel[:4] == b"\x7fELF":
                with open(sys.argv[2], "wb") as f:
                    f.write(kernel)
                return
    sys.exit(f"{sys.argv[1]}: no kernel found inside")


if __name__ == "__main__":
    main()
