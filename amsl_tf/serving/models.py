"""The versions of an exported model: loaded as they appear, and replaced without interruption."""

import gc
import logging
import threading
from pathlib import Path

from grpc import StatusCode
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from amsl_tf.errors import AMSLError
from amsl_tf.export.layout import versions
from amsl_tf.serving.status import ServingError
from amsl_tf.serving.version import FileState, Version, load_version, read_state

log = logging.getLogger(__name__)


class Model:
    """A model whose newest versions are served from the folder of its versions.

    Args:
        name: The name of the model in requests.
        folder: The folder with numbered folders, each with a SavedModel.
        keep: The number of newest versions that are served.

    Raises:
        AMSLError: No version can be loaded.
    """

    def __init__(self, name: str, folder: Path, keep: int = 1) -> None:
        self.name = name
        self._folder, self._keep = folder, keep
        self._served: dict[int, Version] = {}
        self._states: dict[int, ModelVersionStatus] = {}
        self._failed: dict[int, FileState] = {}
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        try:
            self.refresh()
        except OSError as error:
            raise AMSLError(f"{folder}: {error.strerror}. Export a detector first (amsl export).") from error
        if not self._served:
            messages = [state.status.error_message for state in self._states.values()]
            message = messages[0] if messages else "holds no version of a model"
            raise AMSLError(f"{folder}: {message}. Export a detector first (amsl export).")

    def version(self, number: int | None = None) -> Version:
        """Returns a served version, the newest if the number is None. Raises ServingError if it is not served."""
        served = self._served  # replaced as a whole, never modified
        number = max(served) if number is None else number
        if number not in served:
            raise ServingError(StatusCode.NOT_FOUND, f"Servable not found for request: Specific({self.name}, {number})")
        return served[number]

    def window_values(self) -> int:
        """Returns the number of values of a window, T x C; the largest of the served versions."""
        return max(version.window_values for version in self._served.values())

    def states(self, number: int | None = None) -> list[ModelVersionStatus]:
        """Returns the states of all versions seen so far, the newest first, or of one. Raises ServingError if it is unknown."""
        states = dict(self._states)
        if number is not None and number not in states:
            raise ServingError(StatusCode.NOT_FOUND, f"Could not find version {number} of model {self.name}")
        return [states[key] for key in sorted(states, reverse=True) if number in (None, key)]

    def refresh(self) -> None:
        """Loads new versions from the folder if they are among the newest, then unloads older and removed versions.

        A request that runs on a version keeps it until it is answered. If the folder holds no version that can be loaded, the
        served versions stay. A version that could not be loaded is tried again when its files change.
        """
        folders = versions(self._folder)
        files = {number: read_state(folder) for number, folder in folders.items()}
        self._failed = {number: state for number, state in self._failed.items() if files.get(number) == state}
        served = {number: version for number, version in self._served.items() if files.get(number) == version.file_state}
        while True:
            newest = [number for number in files if number not in self._failed][-self._keep :]
            new = [number for number in newest if number not in served]
            if not new:
                break
            number = new[-1]
            self._set_state(number, ModelVersionStatus.LOADING)
            try:
                served[number] = load_version(folders[number], number, files[number])
            except Exception as error:  # any fault of a version must leave the served ones alone
                message = " ".join(str(error).split())  # those of TensorFlow have several lines
                log.error(f"version {number} of {self.name} cannot be loaded: {message}")
                self._failed[number] = files[number]
                self._set_state(number, ModelVersionStatus.END, message)
        unloaded = set(self._served) - set(newest) if newest else set()
        if newest:
            served = self._served = {number: served[number] for number in newest}  # `served` must not keep the others alive
        for number in self._served:
            self._set_state(number, ModelVersionStatus.AVAILABLE)
        for number in unloaded:
            self._set_state(number, ModelVersionStatus.END)
        if unloaded:
            gc.collect()  # their graphs are in reference cycles

    def watch(self, seconds: float) -> None:
        """Calls `refresh` in a thread until `close`.

        Args:
            seconds: The time between two calls, in seconds.
        """

        def poll() -> None:
            last = None
            while not self._stop.wait(seconds):
                try:
                    self.refresh()
                    message = None
                except Exception as error:  # such as a folder that is unreachable for now
                    message = f"{self._folder}: {error}"
                if message and message != last:
                    log.error(message)
                last = message

        self._watcher = threading.Thread(target=poll, name="watch", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Ends `watch`, after a version that is being loaded."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()

    def _set_state(self, number: int, state: int, message: str = "") -> None:
        status = ModelVersionStatus(version=number, state=state)
        status.status.SetInParent()  # TF Serving sends OK if there is no error
        if message:
            status.status.error_code, status.status.error_message = StatusCode.UNKNOWN.value[0], message
        self._states = {**self._states, number: status}
