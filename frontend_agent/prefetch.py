"""Reads ahead: the next page comes out of the source while the present one is taken in."""

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _End:
    """Nothing more comes; `error` is why, when it is not the natural end."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Prefetch(Generic[T]):
    """Runs an iterator in its own thread, at most `ahead` items in front of whoever consumes it.

    Used as a context: leaving it ends the thread, and waits until it has let go of the source.
    """

    def __init__(self, items: Iterator[T], ahead: int = 1, name: str = "extract") -> None:
        self._items = items
        self._queue: queue.Queue[T | _End] = queue.Queue(ahead)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._taken()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)  # it may be waiting to hand something over
            except queue.Empty:
                continue

    def _taken(self) -> Iterator[T]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def _run(self) -> None:
        end = _End()
        try:
            for item in self._items:
                self._queue.put(item)
                if self._stopping.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, who raises it
            end = _End(error)
        self._queue.put(end)
