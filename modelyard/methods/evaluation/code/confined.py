"""Confines its own process, then runs a Python file: `python -I -S -B confined.py FOLDER FILE SECONDS MEGABYTES`.

Before a line of the file runs: limits of processor time, memory, file size, open files and processes (setrlimit); no
new privileges; Landlock leaves an empty folder to write and Python's own files to read; a seccomp filter answers system
calls that open sockets, start programs or reach into other processes with "not permitted". What cannot be set ends the
process with UNCONFINED, and nothing runs. Standard library alone: it is started by itself.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

UNCONFINED = 97
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
READ = 1 << 0 | 1 << 2 | 1 << 3
"""Landlock's rights to execute, read a file, read a folder."""
EVERY = (1 << 13) - 1
"""All rights of Landlock's first version."""
MACHINES: dict[str, tuple[int, tuple[int, ...]]] = {
    # socket, socketpair, connect, fork, vfork, execve, kill, ptrace, chroot, mount, tkill, tgkill, unshare, setns,
    # keyctl, process_vm_readv, process_vm_writev, bpf, execveat, userfaultfd, io_uring_setup, pidfd_send_signal,
    # pidfd_getfd
    "x86_64": (
        0xC000003E,
        (41, 53, 42, 57, 58, 59, 62, 101, 161, 165, 200, 234, 272, 308, 250, 310, 311, 321, 322, 323, 425, 424, 438),
    ),
    "aarch64": (
        0xC00000B7,
        (198, 199, 203, 221, 129, 117, 51, 40, 130, 131, 97, 268, 219, 270, 271, 280, 281, 282, 425, 424, 438),
    ),
}
"""Architecture's number for seccomp, and the system calls that are refused."""
CLONE = {"x86_64": 56, "aarch64": 220}
"""Only allowed to start threads."""
CLONE_THREAD = 0x10000


def filter_of(machine: str) -> bytes:
    """The seccomp program: refused calls answer EPERM, another architecture's calls end the process."""
    number, calls = MACHINES[machine]
    refuse, allow, kill = 0x00050001, 0x7FFF0000, 0x80000000
    steps = [(0x20, 0, 0, 4), (0x15, 1, 0, number), (0x06, 0, 0, kill), (0x20, 0, 0, 0)]
    # Calls of the x32 interface have this bit.
    steps += [(0x35, 0, 1, 0x40000000), (0x06, 0, 0, refuse)]
    # clone3 hides its flags behind a pointer: "no such call" makes libraries fall back to clone.
    steps += [(0x15, 0, 1, 435), (0x06, 0, 0, 0x00050026)]
    steps += [(0x15, 0, 3, CLONE[machine]), (0x20, 0, 0, 16), (0x45, 1, 0, CLONE_THREAD), (0x06, 0, 0, refuse)]
    steps += [(0x20, 0, 0, 0)]
    for call in calls:
        steps += [(0x15, 0, 1, call), (0x06, 0, 0, refuse)]
    steps.append((0x06, 0, 0, allow))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def confine(folder: str, seconds: int, megabytes: int) -> None:
    """Raises OSError if any of it cannot be set."""
    import resource

    size = megabytes << 20
    limits = (
        (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, size), (resource.RLIMIT_DATA, size),
        (resource.RLIMIT_FSIZE, 16 << 20), (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CORE, 0),
    )  # fmt: skip
    for name, value in limits:
        resource.setrlimit(name, (value, value))
    system = ctypes.CDLL(None, use_errno=True)
    checked(system.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    landlock(system, folder)
    code = filter_of(platform.machine())
    memory = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(memory))
    held = ctypes.create_string_buffer(program, len(program))
    checked(system.prctl(SET_SECCOMP, FILTER, ctypes.c_void_p(ctypes.addressof(held)), 0, 0))


def landlock(system: ctypes.CDLL, folder: str) -> None:
    """Files: read Python's own, write the folder, reach nothing else."""
    rights = struct.pack("Q", EVERY)
    rules = checked(system.syscall(CREATE_RULESET, rights, len(rights), 0))
    own = {sys.prefix, sys.base_prefix, "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/dev/urandom", "/dev/null"}
    for path, allowed in [*((one, READ) for one in sorted(own)), (folder, EVERY)]:
        if not os.path.exists(path):
            continue
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not os.path.isdir(path):
            allowed &= 1 << 1 | 1 << 2
        checked(system.syscall(ADD_RULE, rules, 1, struct.pack("=Qi", allowed, place), 0))
        os.close(place)
    checked(system.syscall(RESTRICT_SELF, rules, 0))
    os.close(rules)


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def main() -> None:
    folder, path, seconds, megabytes = sys.argv[1:]
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    os.chdir(folder)
    try:
        confine(folder, int(seconds), int(megabytes))
    except (OSError, KeyError, ImportError, AttributeError, ValueError):
        os._exit(UNCONFINED)
    sys.argv = ["program.py"]
    exec(compile(text, "program.py", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main()
