"""What a person sees of the demonstration: progress while it works, one table at its end. Chinese first, English beside it."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from frontend_agent.checks.catalogue import title_of
from frontend_agent.delivery import State
from frontend_agent.spool import Counts
from frontend_agent.times import STEPS, Step

from .hospital import Plan
from .oracle import Count

FEEDS = {"outpatient_visit": "C0002 门(急)诊病历", "prescription": "C0004 西药处方", "lab_report": "C0007 检验报告",
         "admission_record": "C0034 入院记录", "front_page": "C0032 住院病案首页", "exam_report": "C0006 检查报告"}  # fmt: skip
KINDS = {
    "C0002": "门(急)诊病历",
    "C0004": "西药处方",
    "C0007": "检验报告",
    "C0034": "入院记录",
    "C0032": "住院病案首页",
    "C0006": "检查报告",
}
STEP_NAMES = {
    "extract": "抽取 extract",
    "normalise": "规范化 normalise",
    "compare": "比对 compare",
    "check": "质控 check",
    "render": "生成 render",
    "compress": "压缩 compress",
    "spool": "落盘 spool",
    "push": "上传 push",
}
RECORDS_PER_VISIT = {
    "outpatient_visit": 1.0,
    "prescription": 0.93,
    "lab_report": 0.63,
    "admission_record": 0.05,
    "front_page": 0.05,
    "exam_report": 0.1,
}  # fmt: skip - for the bars, as a guess

REASONS = 4  # per kind; `frontend-agent quarantine list` has them all

PLAIN: Any = {"box": box.SIMPLE_HEAD, "collapse_padding": True, "pad_edge": False}  # fits 80 columns

Told = Callable[[Any], None]


class Screen:
    """Writes to the terminal; with `console` None it says nothing."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self.out = Console(file=sys.stdout)

    def step(self, name: str) -> AbstractContextManager[Any]:
        """Something that takes a moment."""
        words = {
            "hospital": "正在生成示范医院 … making the demonstration hospital",
            "pacs": "正在生成影像 … making its studies",
        }
        return self._console.status(words[name]) if self._console else nullcontext()

    @contextmanager
    def working(self, plan: Plan) -> Iterator[Told]:
        """A bar per feed and one for what has arrived at the platform."""
        if self._console is None:
            yield lambda _: None
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bars:
            tasks = {
                feed: bars.add_task(title, total=int(plan.visits * RECORDS_PER_VISIT[feed]))
                for feed, title in FEEDS.items()
            }
            arrived = bars.add_task("已送达平台 delivered", total=None)
            yield lambda counts: _advance(bars, tasks, arrived, counts)

    @contextmanager
    def counting(self) -> Iterator[Told]:
        """The oracle at work."""
        if self._console is None:
            yield lambda _: None
            return
        with self._console.status("正在逐一核对 … the oracle is counting") as status:
            yield lambda number: status.update(f"正在逐一核对 … the oracle is counting: {number}")

    def result(self, plan: Plan, counted: Count, seconds: float, per_second: float, steps: Mapping[str, Step]) -> None:
        """The tables at the end."""
        self.out.print(_kinds(counted))
        self.out.print(_studies(counted))
        if any(counted.reasons.values()):
            self.out.print(_reasons(counted))
        self.out.print(
            f"植入的数据问题 planted faults: {counted.planted_faults}, 已发现 found: {counted.faults_found},"
            f" 误报 false findings: {counted.false_findings}"
        )
        images = counted.images.line
        self.out.print(
            f"植入的影像问题 planted in studies: {images.planted_faults}, 已发现 found: {images.faults_found},"
            f" 误报 false findings: {images.false_findings}"
        )
        if per_second:
            self.out.print(f"用时 took: {seconds:.1f} s, 每秒文档 documents/s: {per_second:,.0f}")
        else:
            self.out.print("没有新文档：此前均已送达 nothing new: all of it was delivered before")
        documents = max((step.items for step in steps.values()), default=0)
        if documents and per_second:
            self.out.print(_steps(steps))

    def address(self, url: str, state: Path, *, stays: bool) -> None:
        """Where to look."""
        if stays:
            self.out.print(f"平台网页 platform: [bold]{url}[/bold]   (Ctrl-C 结束 ends it)")
            self.out.print(f"影像 studies: [bold]{url}/studies[/bold]")
        self.out.print(f"状态目录 state: {state}")


@contextmanager
def screen(wanted: bool) -> Iterator[Screen]:
    """Progress goes to standard error, and only where somebody watches."""
    console = Console(stderr=True) if wanted and sys.stderr.isatty() else None
    yield Screen(console)


def _advance(bars: Progress, tasks: Mapping[str, Any], arrived: Any, counts: Counts) -> None:
    for feed, task in tasks.items():
        done = counts.feeds.get(feed, {})
        taken = done.get("documents", 0) + done.get("held", 0)
        bars.update(task, completed=taken, total=max(taken, bars.tasks[task].total or 0))
    settled = sum(states.get(State.DELIVERED, 0) for states in counts.deliveries.values())
    bars.update(arrived, completed=settled, total=max(counts.documents, 1))


def _kinds(counted: Count) -> Table:
    table = Table(title="示范医院 → 区域平台   hospital → platform", title_justify="left", **PLAIN)
    table.add_column("类别\nkind", no_wrap=True)
    for name in (
        "源行\nrows",
        "记录\nrecords",
        "拦截\nheld",
        "文档\ndocuments",
        "送达\ndelivered",
        "重复\ndoubled",
        "丢失\nlost",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, line in counted.kinds.items():
        numbers = (line.rows, line.records, line.held, line.documents, line.delivered, line.duplicates, line.lost)
        table.add_row(f"{kind}\n{KINDS[kind]}", *(f"{number:,}" for number in numbers))
    return table


def _studies(counted: Count) -> Table:
    table = Table(title="影像：PACS → 区域平台   images: PACS → platform", title_justify="left", **PLAIN)
    for name in (
        "检查\nstudies",
        "图像\ninstances",
        "拦截\nheld",
        "送达\ndelivered",
        "图像\ninstances",
        "连到报告\nlinked",
        "重复\ndoubled",
        "丢失\nlost",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    one = counted.images.line
    numbers = (
        one.studies, one.instances, one.held, one.delivered, one.delivered_instances, one.linked, one.duplicates, one.lost,
    )  # fmt: skip
    table.add_row(*(f"{number:,}" for number in numbers))
    return table


def _reasons(counted: Count) -> Table:
    """Why records are held; one record may be held for several reasons."""
    table = Table(title="拦截原因   held because", title_justify="left", **PLAIN)
    table.add_column("类别 kind", no_wrap=True)
    table.add_column("规则 rule", no_wrap=True)
    table.add_column("")
    table.add_column("记录 records", justify="right", no_wrap=True)
    for kind, reasons in (*counted.reasons.items(), ("影像", counted.images.reasons)):
        for number, (rule, records) in enumerate(list(reasons.items())[:REASONS]):
            table.add_row(
                "" if number else kind, rule, f"{title_of(rule, 'zh')} {title_of(rule, 'en')}", f"{records:,}"
            )
    return table


def _steps(steps: Mapping[str, Step]) -> Table:
    """Steps of several threads overlap: the processor's time is what adds up."""
    table = Table(title="时间去向   where the time went", title_justify="left", **PLAIN)
    table.add_column("步骤 step")
    for name in ("秒 s", "处理器秒 cpu s", "每文档微秒 cpu µs/document"):
        table.add_column(name, justify="right")
    documents = max(step.items for step in steps.values())
    for name in (*STEPS, *(other for other in steps if other not in STEPS)):
        step = steps.get(name)
        if step is not None and step.seconds:
            each = step.cpu_seconds / documents * 1e6
            table.add_row(STEP_NAMES.get(name, name), f"{step.seconds:.2f}", f"{step.cpu_seconds:.2f}", f"{each:.0f}")
    return table
