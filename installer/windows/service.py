"""The front-end machine as a Windows service. NOT TESTED: nobody has run this on Windows (docs/guide/windows.md).

    python service.py install      registers the service FrontendAgent
    python service.py remove       takes it away; configuration and state stay
    python service.py              what Windows starts: the service itself

It lies in the virtual environment of the program, but Windows starts the interpreter from which that was made: the python.exe of an
environment is a launcher, and what it launches would be another process than the one that Windows waits for.

The service is a parent (frontend_agent/supervising.py) that starts the agent, says "running" when the agent is ready, ends it in
order, also before the machine shuts down, and ends it hard when it gives no sign of life. What Windows does after a failure is
set by install.ps1 (`sc.exe failure`). The Event Log gets what an administrator must know; the agent's own log is in its state.
"""

import site
import sys
import threading
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parent
site.addsitedir(str(PROGRAM / "Lib" / "site-packages"))

import servicemanager  # noqa: E402 - found from here on
import win32service  # noqa: E402
import win32serviceutil  # noqa: E402

from frontend_agent.machine.names import CONFIGURATION, STATE  # noqa: E402
from frontend_agent.supervising import ENDS_WITHIN, Stage, supervise  # noqa: E402

LOG = Path(CONFIGURATION).with_name("service.log")
COMMAND = [
    str(PROGRAM / "Scripts" / "python.exe"), "-P", "-X", "utf8", "-m", "frontend_agent.cli.main", "--config", CONFIGURATION, "--state", STATE,
    "run", "--supervised",
]  # fmt: skip
PATIENCE = 10_000  # milliseconds that Windows waits for our next word while we start or stop
EX_CONFIG = 78  # a mistake in agent.toml: starting again does not mend it


class FrontendAgentService(win32serviceutil.ServiceFramework):
    _svc_name_ = "FrontendAgent"
    _svc_display_name_ = "Front-end machine (前置机)"
    _exe_name_ = getattr(sys, "_base_executable", sys.executable)
    _exe_args_ = f'-X utf8 "{Path(__file__).resolve()}"'
    _svc_description_ = "Reads the hospital's systems and delivers documents to the regional platform."

    def __init__(self, arguments: Any) -> None:
        super().__init__(arguments)
        self._stopping = threading.Event()

    def GetAcceptedControls(self) -> int:  # Windows' name
        # Before the machine shuts down there is time to drain; SERVICE_ACCEPT_SHUTDOWN alone gives five seconds.
        accepted: int = super().GetAcceptedControls()  # type: ignore[no-untyped-call]
        return accepted | win32service.SERVICE_ACCEPT_PRESHUTDOWN

    def SvcOtherEx(self, control: int, event_type: int, data: Any) -> None:
        if control == win32service.SERVICE_CONTROL_PRESHUTDOWN:
            self.SvcStop()

    def SvcStop(self) -> None:
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, int(ENDS_WITHIN * 1000) + PATIENCE)
        self._stopping.set()

    def SvcRun(self) -> None:
        """As the framework's, but "running" is said when the agent is ready and not before."""
        self.ReportServiceStatus(win32service.SERVICE_START_PENDING, PATIENCE)
        self.SvcDoRun()
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)

    def SvcDoRun(self) -> None:
        ended = supervise(COMMAND, LOG, self._stopping, self._tell)
        if self._stopping.is_set() and not ended.why:
            servicemanager.LogInfoMsg("FrontendAgent: stopped in order")
            return
        if ended.exit_code == EX_CONFIG:
            servicemanager.LogErrorMsg(f"FrontendAgent: agent.toml needs mending, see {LOG}")
            return  # stopped in order: Windows does not start it again
        told = ended.why or f"the program ended with {ended.exit_code}"
        servicemanager.LogErrorMsg(f"FrontendAgent: {told}, see {LOG} and {STATE}\\agent.log")
        if not self._stopping.is_set():
            raise RuntimeError(told)  # a failure, which Windows answers by starting it again

    def _tell(self, stage: Stage) -> None:
        if stage is Stage.READY:
            self.ReportServiceStatus(win32service.SERVICE_RUNNING)
            servicemanager.LogInfoMsg("FrontendAgent: ready")
        elif stage is Stage.STARTING:
            self.ReportServiceStatus(win32service.SERVICE_START_PENDING, PATIENCE)
        else:
            self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, PATIENCE)


if __name__ == "__main__" and len(sys.argv) == 1:
    servicemanager.Initialize()
    servicemanager.PrepareToHostSingle(FrontendAgentService)
    servicemanager.StartServiceCtrlDispatcher()  # type: ignore[no-untyped-call]
elif __name__ == "__main__":
    win32serviceutil.HandleCommandLine(FrontendAgentService)
