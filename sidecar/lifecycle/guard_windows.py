"""The guard on Windows: a job whose processes the system ends together with the sidecar.

The sidecar is put into a job of its own, nested in whichever its host keeps it in. Whatever it
starts is born into the same job, grandchildren too, and the system kills them all when the last
handle of the job is closed, which is when the sidecar is gone. So nothing needs to be registered,
and there is no moment in which a child is not covered yet.

No test runs this: the tests have no Windows.
"""

import ctypes
import logging
import sys
from ctypes import wintypes

assert sys.platform == "win32"

logger = logging.getLogger(__name__)

_EXTENDED_LIMITS = 9
"""JobObjectExtendedLimitInformation"""
_KILL_ON_JOB_CLOSE = 0x2000


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
        ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
        ("LimitFlags", wintypes.DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", wintypes.DWORD),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", wintypes.DWORD),
        ("SchedulingClass", wintypes.DWORD),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class JobGuard:
    """Puts this process into a job that ends with it. Implements ChildRegistry."""

    def __init__(self) -> None:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateJobObjectW.restype = wintypes.HANDLE
        kernel.CreateJobObjectW.argtypes = (ctypes.c_void_p, wintypes.LPCWSTR)
        kernel.SetInformationJobObject.argtypes = (
            wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD
        )  # fmt: skip
        kernel.GetCurrentProcess.restype = wintypes.HANDLE
        kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
        # Never closed: closing it would end this process.
        job = kernel.CreateJobObjectW(None, None)
        done = (
            job
            and kernel.SetInformationJobObject(
                job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
            )
            and kernel.AssignProcessToJobObject(job, kernel.GetCurrentProcess())
        )
        if not done:
            logger.error("no job for child processes: %s", ctypes.WinError(ctypes.get_last_error()))

    def register(self, process_group: int) -> None:
        """Nothing to do: the child is in the job."""

    def release(self, process_group: int) -> None:
        """Nothing to do: a process that has ended has left the job."""

    def close(self) -> None:
        """Nothing to do: the system closes the job with this process."""
