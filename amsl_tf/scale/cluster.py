"""Runs a task for each recording on the workers of a Ray cluster, until all are done."""

import logging
import pickle
import traceback
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from textwrap import shorten
from typing import Any, NamedTuple, Protocol

import numpy as np

from amsl_tf import progress
from amsl_tf.data.skipped import Skipped
from amsl_tf.data.source import Source
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.scale.items import Item, Message, make_blocks

log = logging.getLogger(__name__)

WHOLE_PASSES = 2  # over the blocks that are left, before each recording becomes a block of its own
SHOWN_MESSAGES = 20  # of the workers about recordings, of each level
_WORKER_VARIABLES = {  # a worker has one CPU, and shares no GPU
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
}


class Task(Protocol):
    """The work on each recording; sent to every worker once."""

    def open(self, recording: Any) -> Source:
        """Opens a path or a recording."""

    def process(self, number: int, source: Source) -> Any:
        """Returns the result for the recording at a position, which can be pickled.

        Raises:
            DataError: The recording is unusable.
            AMSLError: The job cannot go on.
        """


class Result(NamedTuple):
    """The result for a recording.

    Attributes:
        number: The number of the recording, see `Item`.
        value: The result of `Task.process`; None after an error.
        error: A DataError if the recording is unusable, or another error, which ends the job.
        time_zones: One element, its time zone or None; empty if it cannot be opened.
    """

    number: int
    value: Any
    error: AMSLError | None
    time_zones: tuple[str | None, ...] = ()


class Cluster:
    """A Ray cluster; made by `amsl_tf.scale.connection.connect`.

    Attributes:
        workers: The number of workers, each with one CPU.
        time_zones: The time zones of the recordings that were opened, also if they are unusable; None for those without one.
    """

    def __init__(self, ray: Any, workers: int) -> None:
        self._ray, self.workers, self._messages = ray, workers, _Messages()
        self._has_results = False
        self._failure: Exception | None = None  # of Ray in the last pass
        self.time_zones: set[str | None] = set()

    def run(
        self, task: Task, items: Sequence[Item], what: str, *, done: int = 0, skipped: list[Skipped] | None = None
    ) -> Iterator[list[Result]]:
        """Runs a task on each recording once, in any order.

        Blocks whose worker or node stops are processed again by others. A recording whose worker stops each time is unusable.

        Args:
            task: The task.
            items: The recordings.
            what: The task in a word or two, for the progress bar.
            done: The number of recordings that were done before.
            skipped: A list to which unusable recordings are added at the end, in order; if None, the first one is an error.

        Yields:
            The results of the usable recordings of a block.

        Raises:
            DataError: A recording is unusable, and `skipped` is None.
            AMSLError: No worker can start, or the job cannot go on for another reason.
            RuntimeError: A worker failed by a fault of the package.
        """
        left, bad = {item.number: item for item in items}, list[Skipped]()
        reference = self._ray.put(task)
        with progress.bar(done + len(items), what, "recordings", done=done) as bar:
            for attempt in range(WHOLE_PASSES + len(items)):
                is_split = attempt >= WHOLE_PASSES
                blocks = [[item] for item in left.values()] if is_split else make_blocks(list(left.values()), self.workers)
                before, self._failure = len(left), None
                for results in self._pass(reference, blocks):
                    self.time_zones.update(*(result.time_zones for result in results))
                    if usable := [result for result in results if result.error is None]:
                        yield usable
                    for number, _, error, _ in results:
                        item = left.pop(number)
                        if error is None:
                            continue
                        if skipped is None or not isinstance(error, DataError):  # else it is not the fault of the recording
                            raise error
                        bad.append(Skipped(item.number, item.name, str(error)))
                    bar.update(len(results))
                if not left:
                    break
                if is_split and len(left) == before:
                    if self._failure is not None:
                        fault = f"the cluster failed ({_shorten(self._failure)})"
                        raise AMSLError(f"{fault}. Start the same command again.") from self._failure
                    reason = "each worker that processed it stopped, by a crash or for lack of memory"
                    if skipped is None:
                        raise DataError(f"{next(iter(left.values())).name}: {reason}. Leave it out.")
                    bad += [Skipped(number, item.name, f"{item.name}: {reason}.") for number, item in left.items()]
                    break
                log.warning(f"{len(left):,} of {before:,} recordings have no result, as workers stopped: they are repeated.")
        if skipped is not None:
            skipped[:] = sorted([*skipped, *bad])

    def report(self, messages: Iterable[Message]) -> None:
        """Logs messages about recordings, each once."""
        self._messages.add(messages)

    def _pass(self, task: Any, blocks: Sequence[list[Item]]) -> Iterator[list[Result]]:
        """Yields the results of blocks; those whose worker stops are missing."""
        from ray.data import ActorPoolStrategy, from_items
        from ray.exceptions import ObjectLostError, RayError
        from ray.util.annotations import RayDeprecationWarning

        # a worker has one block at a time: the first one to start does not take those of others, and no second one is lost
        pool = ActorPoolStrategy(size=min(self.workers, len(blocks)), max_tasks_in_flight_per_actor=1)
        rows = from_items([{"items": pickle.dumps(block)} for block in blocks], override_num_blocks=len(blocks))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RayDeprecationWarning)  # max_task_retries has no successor
            results = rows.map_batches(
                _Worker,
                fn_constructor_args=([task],),  # in a list, Ray passes the reference and not its value
                batch_size=1,
                num_cpus=1,
                compute=pool,
                runtime_env={"env_vars": _WORKER_VARIABLES},
                max_task_retries=0,  # `run` processes blocks again; Ray would repeat one that crashes without end
            )
        try:
            for row in results.iter_rows():
                self._has_results = True
                found, messages, traceback_text = pickle.loads(row["results"])
                if traceback_text:
                    raise RuntimeError(f"a worker failed:\n{traceback_text}")
                self.report(messages)
                yield found
        except ObjectLostError as error:
            log.debug(f"results are lost: {error}")  # those that were on a machine that stopped
        except RayError as error:
            if not self._has_results:
                advice = "Install the same version of amsl_tf, with the extra scale, on all machines of the cluster."
                raise AMSLError(f"no worker could start ({_shorten(error)}). {advice}") from error
            self._failure = error


class _Worker:
    """A worker, which holds the task: a class that Ray Data calls with batches of one block."""

    def __init__(self, task: list[Any]) -> None:
        import ray

        self._task: Task = ray.get(task[0])

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results: list[Result] = []
        messages: list[Message] = []
        fault = ""
        for item in pickle.loads(batch["items"][0]):
            zones: tuple[str | None, ...] = ()
            try:
                with item.opened(self._task.open, messages) as source:
                    zones = (source.time_zone,)
                    value = self._task.process(item.number, source)
                    results.append(Result(item.number, value, None, zones))
            except AMSLError as error:
                results.append(Result(item.number, None, error, zones))
            except MemoryError:
                results.append(Result(item.number, None, DataError(f"{item.name}: does not fit in memory."), zones))
            except OSError as error:  # as of a full disk
                results.append(Result(item.number, None, AMSLError(f"{item.name}: cannot be processed ({error})."), zones))
            except Exception:
                fault = traceback.format_exc()  # a bug in the package: the job stops
                break
        return {"results": np.array([pickle.dumps((results, messages, fault))], object)}


def _shorten(error: Exception) -> str:
    return shorten(str(error), 300, placeholder=" ...")


class _Messages:
    """Logs the first different messages of workers about recordings."""

    def __init__(self) -> None:
        self._known: defaultdict[int, set[str]] = defaultdict(set)  # by level: warnings are not hidden by others

    def add(self, messages: Iterable[Message]) -> None:
        for level, name, text in messages:
            known = self._known[level]
            if text in known:  # as of each of many files
                continue
            known.add(text)
            if len(known) <= SHOWN_MESSAGES:
                log.log(level, f"{name}: {text}")
            elif len(known) == SHOWN_MESSAGES + 1:
                log.log(level, "... further messages about recordings are not shown.")
