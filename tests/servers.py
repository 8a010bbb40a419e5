"""Throw-away database servers for the tests: real ones, on free ports, in temporary folders, gone afterwards.

    with postgres_server() as server:
        server.execute("CREATE TABLE …")
        SqlSource("his", SourceOptions(url=server.url()), server.password)

They need Debian's postgresql and mariadb-server (programs only; no service is started). Neither server runs as root: when
the tests do, the servers run as `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port

PASSWORD = "a right one; with } and 中文"
READER_PASSWORD = "reads-only"


class ServerMissing(RuntimeError):
    """The program is not installed here."""


@dataclass
class PostgresServer:
    """A running PostgreSQL. `admin` owns everything and may write; `reader` may only SELECT what is granted to all."""

    port: int
    folder: Path
    programs: Path
    process: subprocess.Popen[bytes]
    password: str = PASSWORD
    user: str = "admin"

    def connect(self, database: str = "postgres") -> Any:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname=database, autocommit=True
        )

    def execute(self, *statements: str, database: str = "postgres") -> None:
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement)

    def create(self, database: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)', f'CREATE DATABASE "{database}"')

    def load(self, script: str, database: str) -> None:
        """Run a whole dump through psql; a failing statement fails the test."""
        subprocess.run(
            [
                "psql",
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                "-U",
                self.user,
                database,
            ],
            input=script.encode(),
            env={**os.environ, "PGPASSWORD": self.password},
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def url(self, database: str = "postgres", user: str = "admin") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def odbc(self, database: str = "postgres", user: str = "admin") -> str:
        return f"Driver={{PostgreSQL Unicode}};Server=127.0.0.1;Port={self.port};Database={database};UID={user}"

    def stop(self) -> None:
        _stop(self.process, signal.SIGQUIT)  # at once: nothing in it is worth writing down


@dataclass
class MariadbServer:
    """A running MariaDB with the same two accounts."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    password: str = PASSWORD
    user: str = "admin"

    def connect(self, database: str = "") -> Any:
        import pymysql

        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password.encode(),  # PyMySQL takes a str for latin-1
            database=database or None,
            charset="utf8mb4",
            autocommit=True,
        )

    def execute(self, *statements: str, database: str = "") -> None:
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def create(self, database: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS `{database}`", f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4")

    def url(self, database: str = "", user: str = "admin") -> str:
        return f"mariadb://{user}@127.0.0.1:{self.port}/{database}"

    def odbc(self, database: str = "", user: str = "admin") -> str:
        return f"Driver={{MariaDB Unicode}};Server=127.0.0.1;Port={self.port};Database={database};UID={user}"

    def stop(self) -> None:
        _stop(self.process, signal.SIGKILL)


@contextmanager
def postgres_server(connections: int = 40) -> Iterator[PostgresServer]:
    """A fresh PostgreSQL that ends with the block; so many may connect to it."""
    programs = _postgres_programs()
    with _folder("pg") as folder:
        data, log = folder / "data", folder / "log"
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        _ours(folder)
        _run(
            [
                programs / "initdb",
                f"--pgdata={data}",
                "--username=admin",
                f"--pwfile={folder / 'password'}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            folder,
        )
        port = free_port()
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "off",
            "shared_buffers": "32MB",
            "max_connections": connections,
            "timezone": "Asia/Shanghai",  # as a hospital's server is set
        }
        process = _start(
            [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())], folder, log
        )
        server = PostgresServer(port, folder, programs, process)
        try:
            _await(server.connect, process, log)
            server.execute(f"CREATE ROLE reader LOGIN PASSWORD '{READER_PASSWORD}'")
            yield server
        finally:
            server.stop()


@contextmanager
def mariadb_server() -> Iterator[MariadbServer]:
    """A fresh MariaDB that ends with the block."""
    server_program, installer = _program("mariadbd", "/usr/sbin"), _program("mariadb-install-db", "/usr/bin")
    with _folder("maria") as folder:
        data, log, line = folder / "data", folder / "log", folder / "s.sock"
        _ours(folder)
        _run(
            [
                installer,
                "--no-defaults",
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            folder,
        )
        port = free_port()
        process = _start(
            [
                server_program,
                "--no-defaults",
                f"--datadir={data}",
                f"--socket={line}",
                f"--port={port}",
                f"--pid-file={folder / 'pid'}",
                "--bind-address=127.0.0.1",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=32M",
                "--skip-log-bin",
                "--character-set-server=utf8mb4",
            ],
            folder,
            log,
        )
        server = MariadbServer(port, folder, process)
        try:
            _await(lambda: _root(line), process, log)
            with contextlib.closing(_root(line)) as connection, connection.cursor() as cursor:
                for name, password in (("admin", PASSWORD), ("reader", READER_PASSWORD)):
                    cursor.execute(f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{password}'")
                cursor.execute("GRANT ALL ON *.* TO admin@'127.0.0.1' WITH GRANT OPTION")
            yield server
        finally:
            server.stop()


def _root(line: Path) -> Any:
    import pymysql

    return pymysql.connect(unix_socket=str(line), user="root", charset="utf8mb4", autocommit=True)


def _postgres_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not found:
        raise ServerMissing("PostgreSQL's server is not installed (apt install postgresql)")
    return found[-1].parent


def _program(name: str, usual: str) -> Path:
    found = shutil.which(name) or shutil.which(name, path=usual)
    if not found:
        raise ServerMissing(f"{name} is not installed (apt install mariadb-server)")
    return Path(found)


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    # Directly under /tmp: a Unix socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix=f"fea-{name}-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ours(folder: Path) -> None:
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "nobody", "nogroup")


def _unprivileged(command: list[Any]) -> list[str]:
    # It dies with us, however we die: a killed test run leaves no servers behind.
    as_whom = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig=KILL", *as_whom, "--", *(str(part) for part in command)]


def _run(command: list[Any], folder: Path) -> None:
    done = subprocess.run(_unprivileged(command), cwd=folder, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2000:]}")


def _start(command: list[Any], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            _unprivileged(command), cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def _await(connect: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            connect().close()
            return
        except Exception as error:  # whatever the driver says while the server starts
            if process.poll() is not None or time.monotonic() > end:
                text = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the server did not start: {error}\n{text}") from error
            time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)  # in case a test had frozen it
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
