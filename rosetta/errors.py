"""What goes wrong, by kind. Every message says what is wrong, what was found, where, and what to do next."""

from __future__ import annotations


class RosettaError(Exception):
    """Anything that a user of Rosetta can mend; the command line shows its text and exits with `exit_code`."""

    exit_code = 2


class UsageError(RosettaError):
    """Options or arguments that do not make sense, alone or together."""


class SourceError(RosettaError):
    """Data that cannot be read, or that is not an array of items."""


class UnreadableError(SourceError):
    """A path at which there is no file that could be a bundle."""


class OutputError(RosettaError):
    """A result that cannot be written."""


class PreprocessingError(RosettaError):
    """A preprocessing step that is unknown, badly written or does not fit the data."""


class SelectionError(RosettaError):
    """A number of pairs that the data cannot give."""


class OverfittedError(SelectionError):
    """A model that has learned its training items by heart, so that points are not decoded from it."""


class MetricError(RosettaError):
    """Arrays that a metric is not defined for."""


class ModelError(RosettaError):
    """A run folder or model that is damaged or does not fit the data."""


class TrainingError(RosettaError):
    """A training that went wrong, such as a loss that is no longer a number."""


class WorkerError(RosettaError):
    """Workers of an executor that cannot do their part, or are gone."""


class MissingExtraError(RosettaError):
    """An optional dependency that is not installed."""

    def __init__(self, extra: str, package: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed. Install it with: pip install 'rosetta-points[{extra}]'"
        )


class IncompatibleError(RosettaError):
    """A bundle that does not fit the data or the model: lists every difference."""


class PolicyError(RosettaError):
    """A bundle that the sender's policy forbids to write: names every clause, with the figure that breaks it."""

    exit_code = 1


class SignatureError(RosettaError):
    """A bundle that is not signed by whom it must be signed by.

    Parameters
    ----------
    reason : str
        One word for a program, such as ``untrusted_key``: see `rosetta.schemas.signature.RefusalReason`.
    message : str
        What is wrong, what was expected and what was found.
    """

    exit_code = 1

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SandboxError(RosettaError):
    """The confined process that looks at bundles cannot run on this system."""


class BundleError(RosettaError):
    """A bundle that breaks a rule of the format.

    Parameters
    ----------
    rule : str
        Identifier in the rule catalogue, such as ``RZ-V111``.
    location : str
        HDF5 path or JSON pointer.
    message : str
        What is wrong, what was expected and what was found.
    """

    def __init__(self, rule: str, location: str, message: str) -> None:
        super().__init__(f"{rule} at {location}: {message}")
        self.rule = rule
        self.location = location
        self.message = message


class UnsafeFileError(BundleError):
    """A file that is not read any further: it is not of the closed form that the format allows."""


class NewerFormatWarning(UserWarning):
    """A bundle of a newer minor version, read as far as this version knows."""
