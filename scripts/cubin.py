"""Reads the device code out of what nvcc has compiled: kernels, registers, shared memory, stack.

An object file of nvcc holds its cubins, 64-bit ELF files for NVIDIA's machine, in the section
.nv_fatbin; uncompressed there when nvcc was told -no-compress. In a cubin, a kernel is a function
symbol marked as an entry; what it needs stands in the records of .nv.info (the attributes that
`cuobjdump -elf` prints as EIATTR_...) and in the size of its section .nv.shared.NAME.
"""
import struct
from collections import namedtuple

# registers of a thread; shared, stack: static bytes; most_threads: of a block, 0 where not bounded.
DeviceFunction = namedtuple("DeviceFunction", "name registers shared stack most_threads")

ELF = b"\x7fELF"
MACHINE_CUDA = 190  # EM_CUDA
FUNCTION, ENTRY = 2, 0x10  # symbol type; in st_other of a kernel
# EIATTR_FRAME_SIZE, EIATTR_MIN_STACK_SIZE (with the functions that are called), _REGCOUNT, _MAX_THREADS
FRAME_SIZE, STACK_SIZE, REGISTERS, MAX_THREADS = 0x11, 0x12, 0x2F, 0x05
VALUE_IN_RECORD = (0x01, 0x02, 0x03)  # formats EIFMT_NVAL, _BVAL, _HVAL: no bytes follow the record
BYTES_FOLLOW = 0x04  # EIFMT_SVAL
RESERVED = 1024  # bytes of shared memory that the system keeps of each block (compute capability 9.0)


class Elf:
    """The sections of a 64-bit little-endian ELF file, by name; the last of a name counts."""

    def __init__(self, data):
        if data[:4] != ELF or data[4:6] != b"\x02\x01":
            raise ValueError("not a 64-bit little-endian ELF file")
        table, = struct.unpack_from("<Q", data, 40)
        size, count, names = struct.unpack_from("<HHH", data, 58)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
        self.size = {}
        self.content = {}
        strings = headers[names][4]
        for name, kind, _, _, offset, length, *_ in headers:
            text = data[strings + name:data.index(b"\0", strings + name)].decode()
            self.size[text] = length
            self.content[text] = b"" if kind == 8 else data[offset:offset + length]  # 8: NOBITS

    def symbols(self):
        """(name, type, other) of each symbol, in order."""
        table, strings = self.content.get(".symtab", b""), self.content.get(".strtab", b"")
        found = []
        for name, info, other, _, _, _ in struct.iter_unpack("<IBBHQQ", table):
            found.append((strings[name:strings.index(b"\0", name)].decode(), info & 15, other))
        return found


def attributes(section):
    """(attribute, bytes) of each record of a .nv.info section."""
    at = 0
    while at + 4 <= len(section):
        form, attribute, value = struct.unpack_from("<BBH", section, at)
        at += 4
        if form == BYTES_FOLLOW:
            yield attribute, section[at:at + value]
            at += value
        elif form in VALUE_IN_RECORD:
            yield attribute, struct.pack("<H", value)
        else:
            raise ValueError(f"unknown record {form:#x} in .nv.info")


def kernels_of_cubin(data):
    """The kernels of one cubin."""
    elf = Elf(data)
    symbols = elf.symbols()
    registers, stack = {}, {}
    for attribute, value in attributes(elf.content.get(".nv.info", b"")):
        if attribute in (FRAME_SIZE, STACK_SIZE, REGISTERS):
            symbol, number = struct.unpack("<II", value)
            name = symbols[symbol][0]
            if attribute == REGISTERS:
                registers[name] = number
            else:
                stack[name] = max(stack.get(name, 0), number)
    found = []
    for name, kind, other in symbols:
        if kind != FUNCTION or not other & ENTRY:
            continue
        own = dict(attributes(elf.content.get(f".nv.info.{name}", b"")))
        x, y, z = struct.unpack("<III", own[MAX_THREADS]) if MAX_THREADS in own else (0, 0, 0)
        shared = max(0, elf.size.get(f".nv.shared.{name}", 0) - RESERVED)
        found.append(DeviceFunction(name, registers[name], shared, stack[name], x * y * z))
    return found


def cubins_of_object(data):
    """The cubins in an object file; ValueError where they are compressed or there are none."""
    fat = Elf(data).content.get(".nv_fatbin", b"")
    starts, at = [], fat.find(ELF)
    while at >= 0:
        if struct.unpack_from("<H", fat, at + 18)[0] == MACHINE_CUDA:
            starts.append(at)
        at = fat.find(ELF, at + 4)
    if not starts:
        raise ValueError("no device code to be read (nvcc wants -no-compress)")
    return [fat[start:end] for start, end in zip(starts, starts[1:] + [len(fat)])]


def kernels_of_object(path):
    """The kernels of an object file that nvcc has written for one architecture."""
    return [k for cubin in cubins_of_object(path.read_bytes()) for k in kernels_of_cubin(cubin)]
