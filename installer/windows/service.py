"""The front-end machine as a Windows service. NOT TESTED: nobody has run this on Windows (docs/guide/windows.md).

    python service.py install      registers the service FrontendAgent, to be started with the machine
    python service.py remove       takes it away; configuration and state stay

The service is a parent that does nothing but start the program and end it: a fault in the program never stays in a half-dead
service. What Windows does after a failure is set by install.ps1 (`sc.exe failure`).
"""

import subprocess
import sys
from pathlib import Path

import servicemanager
import win32event
import win32service
import win32serviceutil

FOLDER = Path(r"C:\ProgramData\frontend-agent")
COMMAND = [
    sys.executable, "-P", "-X", "utf8", "-m", "frontend_agent.cli.main", "run",
    "--config", str(FOLDER / "agent.toml"), "--state", str(FOLDER / "state"),
]  # fmt: skip
ENDS_WITHIN = 15_000  # milliseconds: as TimeoutStopSec of the unit
EX_CONFIG = 78  # a mistake in agent.toml: starting again does not mend it


class FrontendAgentService(win32serviceutil.ServiceFramework):
    _svc_name_ = "FrontendAgent"
    _svc_display_name_ = "Front-end machine (前置机)"
    _svc_description_ = "Reads the hospital's systems and delivers documents to the regional platform."

    def __init__(self, arguments):
        super().__init__(arguments)
        self._stop = win32event.CreateEvent(None, True, False, None)

    def GetAcceptedControls(self):  # Windows' name
        # Before the machine shuts down there is time to drain; SERVICE_ACCEPT_SHUTDOWN alone gives five seconds.
        return super().GetAcceptedControls() | win32service.SERVICE_ACCEPT_PRESHUTDOWN

    def SvcOtherEx(self, control, event_type, data):
        if control == win32service.SERVICE_CONTROL_PRESHUTDOWN:
            self.SvcStop()

    def SvcStop(self):
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, ENDS_WITHIN)
        win32event.SetEvent(self._stop)

    def SvcDoRun(self):
        with (FOLDER / "service.log").open("ab") as log:
            running = subprocess.Popen(
                COMMAND, cwd=FOLDER, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            )  # fmt: skip
            win32event.WaitForMultipleObjects((self._stop, int(running._handle)), False, win32event.INFINITE)
            if running.poll() is None:
                running.terminate()  # whatever is cut off here loses nothing: everything that counts is one commit
                running.wait(ENDS_WITHIN / 1000)
                return
        if running.returncode == EX_CONFIG:
            servicemanager.LogErrorMsg(f"agent.toml needs mending: see {FOLDER / 'service.log'}")
            return  # stopped in order: Windows does not start it again
        if running.returncode:
            servicemanager.LogErrorMsg(f"the program ended with {running.returncode}")
            raise SystemExit(running.returncode)  # a failure, which Windows answers by starting it again


if __name__ == "__main__":
    win32serviceutil.HandleCommandLine(FrontendAgentService)
