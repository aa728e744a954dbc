"""What a process that runs student code gives up before it does: seen, sent to and counted from inside it stays small.

bubblewrap has already taken away the files, the network and the host's processes. Here every submission gets namespaces of its
own inside that, so that it can see and reach nothing of another one; a private, small `/tmp`; an empty `/proc`; limits that the
kernel keeps; no capabilities; and a filter for system calls that no exercise needs. Linux only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

try:  # here and not where it is used: looking for the C library takes longer than all the rest
    import pyseccomp
except (ImportError, RuntimeError, OSError):  # no libseccomp on this machine
    pyseccomp = None

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000  # <linux/sched.h>
_NEWUSER, _NEWPID, _NEWNET = 0x1000_0000, 0x2000_0000, 0x4000_0000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 0x4000, 1 << 18  # <sys/mount.h>
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38  # <linux/prctl.h>
_CAPABILITY_VERSION_3 = 0x2008_0522
_LIBC = ctypes.CDLL(None, use_errno=True)
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}

FORBIDDEN_CALLS = """ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd bpf perf_event_open userfaultfd
io_uring_setup io_uring_enter io_uring_register mount umount2 pivot_root chroot move_mount open_tree fsopen fsmount fsconfig
fspick mount_setattr unshare setns keyctl add_key request_key kexec_load kexec_file_load init_module finit_module
delete_module reboot swapon swapoff settimeofday clock_settime adjtimex sethostname setdomainname iopl ioperm acct quotactl
open_by_handle_at name_to_handle_at lookup_dcookie personality mbind migrate_pages move_pages set_mempolicy vhangup syslog
fanotify_init modify_ldt memfd_create memfd_secret shmget msgget semget mq_open""".split()  # the last six hold memory that nobody counts


@dataclass(frozen=True)
class Limits:
    """What a submission may use."""

    memory: int = 3 * 2**30  # bytes that one process may allocate, and all of its processes may hold together
    processes: int = 64  # processes and threads
    disk: int = 256 * 2**20  # bytes in /tmp and /dev/shm, each; also of one file
    inodes: int = 4096  # files in each
    files: int = 512  # open at a time
    seconds: int = 900  # of processor time and of wall time


class ConfinementError(Exception):
    """The kernel refuses a part of the confinement."""


def enter_namespaces(report: Callable[[int], None]) -> None:
    """Go on as the first process of namespaces of its own, in a forked child; the caller's process waits for it and ends.

    `report` is given the process id of the child, as the caller's namespace has it.
    """
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", _NEWUSER | _NEWNS | _NEWPID | _NEWIPC | _NEWNET | _NEWUTS | _NEWCGROUP)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    child = os.fork()
    if child:
        report(child)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    os.setsid()  # else `kill(0, …)` would reach the warm process, whose group this one is in
    die_with_parent()


def die_with_parent(expected: int | None = None) -> None:
    """End when the process ends that forked this one; its process id, where it can be seen from here, is `expected`."""
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if expected is not None and os.getppid() != expected:  # it had ended before
        os._exit(1)


def hide_files(limits: Limits) -> None:
    """Cover what is shared between submissions by file systems of its own."""
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    size = f"size={limits.disk},nr_inodes={limits.inodes},mode=1777".encode()
    for folder in (b"/tmp", b"/dev/shm"):
        _call("mount", b"tmpfs", folder, b"tmpfs", _MS_NOSUID | _MS_NODEV, size)
    _call("mount", b"tmpfs", b"/proc", b"tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_RDONLY, b"size=4k,nr_inodes=2")
    os.chdir("/tmp")


def limit_memory(limits: Limits) -> None:
    """Let a process that runs no code of a student's fail, and not the machine, on data that a student made large."""
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))


def set_limits(limits: Limits) -> None:
    """Let the kernel refuse what goes beyond the limits."""
    for what, amount in (
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_FSIZE, limits.disk),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(what, (amount, amount))


def drop_privileges(*, loopback: bool = False) -> None:
    """Give up every capability and, where libseccomp is there, system calls that no exercise needs; sockets are left with `loopback`."""
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call("syscall", _SYS_CAPSET[os.uname().machine], header, (ctypes.c_uint32 * 6)())
    _call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
    if pyseccomp is not None:
        _filter_calls(loopback=loopback)


def _filter_calls(*, loopback: bool) -> None:
    rules = pyseccomp.SyscallFilter(defaction=pyseccomp.ALLOW)
    for name in FORBIDDEN_CALLS:
        try:
            rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
        except (OSError, ValueError):  # a call that this machine or this libseccomp does not know
            continue
    # There is no network to reach, but there are protocols to attack. EINVAL, as ZeroMQ goes on without a list of interfaces then.
    for family in set(range(2, 46)) - ({socket.AF_INET} if loopback else set()):  # not AF_UNIX
        rules.add_rule(pyseccomp.ERRNO(errno.EINVAL), "socket", pyseccomp.Arg(0, pyseccomp.EQ, family))
    for flag in (_NEWUSER, _NEWNS, _NEWPID, _NEWNET, _NEWIPC, _NEWUTS, _NEWCGROUP):
        rules.add_rule(pyseccomp.ERRNO(errno.EPERM), "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags are in memory, where a filter cannot look; libc falls back to clone
    rules.add_rule(pyseccomp.ERRNO(errno.EPERM), "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xFFFF_FFFF, 0x5412))  # TIOCSTI
    rules.load()


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library; raise ConfinementError with the reason where it fails."""
    if getattr(_LIBC, name)(*arguments) < 0:
        raise ConfinementError(f"{name}: {os.strerror(ctypes.get_errno())}")
