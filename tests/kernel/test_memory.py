"""What is overwritten on freeing, who may dump, and which machines put memory on a disk."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lfr_kernel import memory
from lfr_kernel.memory import harden, swap_problems

if TYPE_CHECKING:
    from pathlib import Path

IS_GLIBC = platform.libc_ver()[0] == "glibc"
needs_glibc = pytest.mark.skipif(not IS_GLIBC, reason="only glibc overwrites what is freed")

SWAPS = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
WHAT_TO_DO = "turn it off (swapoff -a), or put swap on dm-crypt with a random key, or on zram"


def asked_in_a_process_of_its_own(question: str) -> str:
    return subprocess.run(  # noqa: S603  (our own; what it does lasts as long as its process)
        [sys.executable, "-c", question], check=True, capture_output=True, text=True
    ).stdout.strip()


@needs_glibc
@pytest.mark.parametrize(("how", "left"), [("memory.harden()", "0"), ("None", "1")])
def test_what_is_freed_is_overwritten(how: str, left: str) -> None:
    question = f"""
import ctypes
from lfr_kernel import memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
{how}
block, guard = libc.malloc(4096), libc.malloc(4096)
ctypes.memset(block, 0x5C, 4096)
libc.free(block)
print(int(0x5C in ctypes.string_at(block + 64, 2048)))
"""
    assert asked_in_a_process_of_its_own(question) == left


@pytest.mark.skipif(sys.platform != "linux", reason="asks as Linux is asked")
def test_no_core_is_dumped() -> None:
    question = """
import ctypes
from lfr_kernel import memory
get = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
before = get()
print(memory.harden(), before, get())
"""
    assert asked_in_a_process_of_its_own(question) == f"{() if IS_GLIBC else memory.harden()} 1 0"


def test_what_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_mallopt", lambda *_: False)
    monkeypatch.setattr(memory, "_forbid_dumps", lambda: False)
    overwriting, dumps = harden()
    assert overwriting.startswith(
        "this C library does not overwrite what is freed: templates and crops are overwritten"
    )
    assert dumps == (
        "this process cannot turn its core dumps off here: turn them off for its account in the settings of the system"
    )


class Machine:
    """A made-up root of a file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/swaps", SWAPS)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def swap(self, *areas: str) -> None:
        lines = [f"{area}\t\t8388604\t\t0\t\t-2\n" for area in areas]
        self.write("proc/swaps", SWAPS + "".join(lines))

    def mapped(self, device: str, uuid: str, *slaves: str, name: str = "") -> None:
        self.write(f"sys/block/{device}/dm/uuid", f"{uuid}\n")
        self.write(f"sys/block/{device}/dm/name", f"{name or device}\n")
        for slave in slaves:
            (self.root / "sys/block" / device / "slaves" / slave).mkdir(parents=True)

    def may_hibernate(self, disk: str = "[platform] shutdown reboot suspend test_resume") -> None:
        self.write("sys/power/state", "freeze mem disk\n")
        self.write("sys/power/disk", f"{disk}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_without_swap_has_no_problem(machine: Machine) -> None:
    machine.may_hibernate()
    assert swap_problems(machine.root) == ()


def test_swap_in_compressed_memory_is_none_even_where_hibernation_is_offered(machine: Machine) -> None:
    machine.swap("/dev/zram0 partition", "/dev/zram1 partition")
    machine.may_hibernate()
    assert swap_problems(machine.root) == ()


@pytest.mark.parametrize("shown", ["/dev/dm-1", "/dev/mapper/cryptswap"])
def test_swap_on_dm_crypt_is_none(machine: Machine, shown: str) -> None:
    machine.mapped("dm-1", "CRYPT-PLAIN-cryptswap", "sda3", name="cryptswap")
    machine.swap(f"{shown} partition")
    assert swap_problems(machine.root) == ()


def test_swap_on_a_logical_volume_is_as_encrypted_as_all_that_lies_under_it(machine: Machine) -> None:
    machine.mapped("dm-0", "CRYPT-LUKS2-0a1b-luks", "nvme0n1p3")
    machine.mapped("dm-1", "LVM-swap", "dm-0")
    machine.swap("/dev/dm-1 partition")
    assert swap_problems(machine.root) == ()
    machine.mapped("dm-2", "LVM-plain", "dm-0", "sdb1")
    machine.swap("/dev/dm-2 partition")
    assert len(swap_problems(machine.root)) == 1


@pytest.mark.parametrize(
    ("area", "uuid"),
    [("/dev/sda5", None), ("/dev/dm-0", "LVM-swap"), ("/dev/dm-0", "CRYPT-INTEGRITY-x"), ("/dev/dm-9", None)],
)
def test_swap_on_anything_else_is_a_problem(machine: Machine, area: str, uuid: str | None) -> None:
    if uuid is not None:
        machine.mapped("dm-0", uuid)
    machine.swap("/dev/zram0 partition", f"{area} partition")
    (problem,) = swap_problems(machine.root)
    assert problem == f"swap on {area} is not encrypted; {WHAT_TO_DO}"


def test_a_swap_file_cannot_be_seen_to_be_encrypted(machine: Machine) -> None:
    machine.swap(r"/swap\040space/file file")
    (problem,) = swap_problems(machine.root)
    assert problem == f"swap file /swap space/file cannot be seen to be encrypted; {WHAT_TO_DO}"


def test_hibernation_is_a_problem_of_its_own_on_encrypted_swap_too(machine: Machine) -> None:
    machine.mapped("dm-0", "CRYPT-LUKS2-0a1b-luks")
    machine.swap("/dev/dm-0 partition")
    machine.may_hibernate()
    (problem,) = swap_problems(machine.root)
    assert problem.startswith("this machine can hibernate, which writes all of its memory to swap; forbid it")
    machine.may_hibernate("[disabled]")
    assert swap_problems(machine.root) == ()
    machine.may_hibernate()
    machine.write("sys/power/state", "freeze mem\n")
    assert swap_problems(machine.root) == ()


def test_a_system_that_does_not_show_its_swap_has_a_problem(tmp_path: Path) -> None:
    (problem,) = swap_problems(tmp_path)
    assert problem == (
        f"whether there is unencrypted swap cannot be seen: {tmp_path / 'proc/swaps'} cannot be read (No such file or "
        "directory); only Linux shows it"
    )
