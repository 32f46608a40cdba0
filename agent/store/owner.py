"""Who is answering a turn, and whether that process can still be alive. It never signals or ends one."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """One process on one machine since its last boot. An empty field is unknown on this platform."""

    host: str
    boot: str
    namespace: str
    """Linux PID namespace; two containers on one host count their processes apart."""
    pid: int
    started: str
    """Start time of the process, so that a reused pid is not taken for it."""
    at: float = 0.0
    """When it took the turn or renewed it, in seconds since 1970 by the database server's clock, if there is one."""
    uptime: float = 0.0
    """The same in seconds since the machine started, which no change of the clock moves."""
    lease: float = 0.0
    """For how many seconds it may be silent about the turn; 0 when it never renews it."""

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        return _this_process(os.getpid())

    @classmethod
    def read(cls, stored: str) -> Owner | None:
        """An owner as it was stored; ``None`` when it cannot be read."""
        try:
            return cls(**json.loads(stored))
        except (TypeError, ValueError):
            return None

    def stored(self) -> str:
        """For ``Owner.read``."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def same(self, here: Owner) -> bool:
        """True when it is the process that asks."""
        return replace(self, at=here.at, uptime=here.uptime, lease=here.lease) == here

    def age(self, here: Owner) -> float:
        """Seconds since it took or renewed the turn. On one machine a clock that jumps changes nothing."""
        if self.boot and self.boot == here.boot and self.uptime:
            return here.uptime - self.uptime
        return here.at - self.at

    def visible(self, here: Owner) -> bool:
        """True when ``here`` can look whether this process runs."""
        place = (self.host, self.boot, self.namespace)
        return place == (here.host, here.boot, here.namespace) and os.name == "posix"

    def dead(self, here: Owner) -> bool:
        """True only when it is certain, seen from ``here``, that this process is gone."""
        if not self.visible(here):
            return self.host == here.host and self.boot != here.boot and bool(self.boot and here.boot)
        return not _runs(self.pid) or (bool(self.started) and _started(self.pid) != self.started)


def uptime() -> float:
    """Seconds since the machine started, sleep included; 0 where that cannot be asked."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else 0.0


@lru_cache(maxsize=1)
def _this_process(pid: int) -> Owner:
    machine = _text("/etc/machine-id")
    namespace = Path("/proc/self/ns/pid")
    return Owner(
        host=f"{socket.gethostname()}/{machine}",
        boot=_text("/proc/sys/kernel/random/boot_id"),
        namespace=str(namespace.readlink()) if namespace.is_symlink() else "",
        pid=pid,
        started=_started(pid),
    )


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 asks and does nothing
    except ProcessLookupError:
        return False
    except OSError:  # it exists and belongs to somebody else
        return True
    return True


def _started(pid: int) -> str:
    # The command name is in brackets and may hold spaces; start time is the 22nd field, the 20th after it.
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    # A zombie still answers signal 0, but nobody is at work in it any more.
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
