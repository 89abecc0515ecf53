"""Records that the registry takes and returns: frozen dataclasses, never database objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

UNKNOWN = "unknown"
"""The actor of changes that were made before the registry recorded actors."""

Split = Literal["validation", "test"]
Role = Literal["viewer", "editor", "admin"]
AliasMoveKind = Literal["promoted", "rolled_back", "removed"]
Triple = tuple[float, float, float]
"""One value for each of the three channels."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A stored file: its SHA-256 in hex and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class NewBase:
    """A base to be registered. Its name and the SHA-256 of its weights identify it.

    Attributes:
        embed_dim: the width of the token embeddings.
        depth: the number of transformer blocks.
    """

    name: str
    weights_sha256: str
    architecture: str
    embed_dim: int
    depth: int


@dataclass(frozen=True, slots=True)
class Base:
    """A base in the registry; see `NewBase`."""

    id: int
    name: str
    weights_sha256: str
    architecture: str
    embed_dim: int
    depth: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewStoredBase:
    """A base to be put into the artifact store.

    Attributes:
        base: what identifies it.
        weights: the bytes of the file of its weights.
        mean: the mean of each channel for the normalization, 0 to 1.
        std: the standard deviation of each channel for the normalization, 0 to 1.
        patch_size: the side of a patch in pixels.
        parameters: the number of parameters.
        license: the name of the license of the weights; empty if it is not known.
        card: Markdown for people; empty for none.
    """

    base: NewBase
    weights: bytes
    mean: Triple
    std: Triple
    patch_size: int
    parameters: int
    license: str = ""
    card: str = ""


@dataclass(frozen=True, slots=True)
class StoredBase:
    """A base in the artifact store; see `NewStoredBase`.

    Attributes:
        weights: the stored file of the weights.
        card: the stored card; None if there is none.
        added_by: the actor who added it.
    """

    base: Base
    weights: BlobInfo
    card: BlobInfo | None
    mean: Triple
    std: Triple
    patch_size: int
    parameters: int
    license: str
    added_by: str


@dataclass(frozen=True, slots=True)
class DatasetClass:
    """A class of a dataset and its number of images per split. Its position in the dataset is its index."""

    name: str
    n_train: int
    n_val: int
    n_test: int


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A dataset to be registered.

    Attributes:
        fingerprint: the identity of the dataset.
        classes: the classes in index order, which is part of what the dataset means.
        n_images: the number of images; None for the sum of the classes' images, which is more where an image
            has several labels.
    """

    fingerprint: str
    name: str
    source_kind: str
    classes: tuple[DatasetClass, ...]
    n_images: int | None = None


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset without its classes."""

    fingerprint: str
    name: str
    n_images: int
    n_classes: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset in the registry, with its classes in index order."""

    id: int
    fingerprint: str
    name: str
    n_images: int
    n_classes: int
    source_kind: str
    created_at: datetime
    classes: tuple[DatasetClass, ...]


@dataclass(frozen=True, slots=True)
class ClassMetric:
    """Results for a class, whose index is its position.

    Attributes:
        precision: 0 to 1.
        recall: 0 to 1.
        f1: 0 to 1.
        support: the number of images of this class.
        average_precision: 0 to 1; None for one label per image, and for a class without images.
    """

    precision: float
    recall: float
    f1: float
    support: int
    average_precision: float | None = None


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """A cell of the confusion matrix: `n` images of class `true_idx` were predicted as `predicted_idx`."""

    true_idx: int
    predicted_idx: int
    n: int


@dataclass(frozen=True, slots=True)
class NewEvaluation:
    """Results of a version on a split.

    Attributes:
        n: the number of images.
        accuracy: the fraction of images whose label is right, or whose labels all are, 0 to 1.
        macro_f1: 0 to 1.
        linear_probe_accuracy: accuracy of the probe on the same images, 0 to 1.
        top5_accuracy: 0 to 1.
        calibration_error: the expected calibration error, 0 to 1.
        classes: one entry per class in index order, or empty.
        confusion: every cell of the confusion matrix that counts at least one image, or empty.
        mean_average_precision: the mean over the classes, 0 to 1; None for one label per image.
        micro_f1: 0 to 1; None for one label per image.
    """

    split: Split
    n: int
    accuracy: float
    loss: float
    macro_f1: float
    linear_probe_accuracy: float | None = None
    top5_accuracy: float | None = None
    calibration_error: float | None = None
    classes: tuple[ClassMetric, ...] = ()
    confusion: tuple[ConfusionCell, ...] = ()
    mean_average_precision: float | None = None
    micro_f1: float | None = None

    @property
    def several_labels(self) -> bool:
        """Whether an image can have several labels, so that it counts in several classes."""
        return self.mean_average_precision is not None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results of a published version on a split; see `NewEvaluation`."""

    split: Split
    n: int
    accuracy: float
    loss: float
    macro_f1: float
    linear_probe_accuracy: float | None
    top5_accuracy: float | None
    calibration_error: float | None
    created_at: datetime
    mean_average_precision: float | None = None
    micro_f1: float | None = None

    @property
    def several_labels(self) -> bool:
        """Whether an image can have several labels."""
        return self.mean_average_precision is not None


@dataclass(frozen=True, slots=True)
class NewVersion:
    """Everything that belongs to a publication.

    Attributes:
        title: the new title of the adapter. An empty one leaves the title as it is.
        description: the new description of the adapter. An empty one leaves it as it is.
        run_id: the run that made the version; None for an imported one.
        image_size: the side of the input images in pixels.
        files: the content of each file, as bytes or as a local file, by relative path.
        weights_file: the path of the adapter weights among `files`.
        tags: tags that are added to those the adapter already has.
    """

    slug: str
    title: str
    description: str
    run_id: str | None
    base_id: int
    dataset_id: int | None
    adapter_type: str
    n_params: int
    image_size: int
    class_names: tuple[str, ...]
    config: Mapping[str, Any]
    files: Mapping[str, bytes | Path]
    weights_file: str = "adapter_model.safetensors"
    evaluations: tuple[NewEvaluation, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionFile:
    """A file of a version: its relative path and the SHA-256 of its content."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of a version's answers that were changed after its training; None is as trained.

    Attributes:
        unlike: a factor of the trained threshold. An image above it is unlike the training images.
        unsure: the confidence, 0 to 1, below which an answer is unsure.
    """

    unlike: float | None = None
    unsure: float | None = None


AS_TRAINED = Thresholds()


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable, numbered publication of an adapter.

    Attributes:
        title: the title of the adapter, as are description and owner.
        image_size: the side of the input images in pixels.
        manifest_sha256: the identity of the set of files.
        withdrawn_at: when the version was withdrawn; None while it can be used.
        thresholds: the thresholds of its answers, which may change although the version does not.
        class_titles: titles of classes by the name of the training, which may change too.
    """

    id: int
    slug: str
    title: str
    description: str
    owner: str
    version: int
    run_id: str | None
    base: Base
    dataset_fingerprint: str | None
    adapter_type: str
    n_params: int
    size_bytes: int
    image_size: int
    class_names: tuple[str, ...]
    config: Mapping[str, Any]
    files: tuple[VersionFile, ...]
    weights_sha256: str
    manifest_sha256: str
    evaluations: tuple[Evaluation, ...]
    created_at: datetime
    created_by: str
    withdrawn_at: datetime | None
    withdrawn_reason: str | None
    thresholds: Thresholds = AS_TRAINED
    class_titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown_classes(self) -> tuple[str, ...]:
        """The title of each class, or the name of the training, in index order."""
        return tuple(self.class_titles.get(name, name) for name in self.class_names)

    @property
    def ref(self) -> str:
        """The name of the version, such as `cifar10-objects@2`."""
        return f"{self.slug}@{self.version}"

    def evaluation(self, split: Split) -> Evaluation | None:
        """Return the results on a split, or None if the version was not evaluated on it."""
        return next((evaluation for evaluation in self.evaluations if evaluation.split == split), None)


@dataclass(frozen=True, slots=True)
class Alias:
    """A movable name for a version of an adapter.

    Attributes:
        version: the number of the version that the alias names now.
        protected: whether a special permission is needed to move it.
    """

    slug: str
    alias: str
    version: int
    protected: bool
    moved_at: datetime
    moved_by: str

    @property
    def ref(self) -> str:
        """The version that the alias names now, such as `cifar10-objects@2`."""
        return f"{self.slug}@{self.version}"


@dataclass(frozen=True, slots=True)
class AliasMove:
    """A change of the version that an alias names.

    Attributes:
        before: the number of the previous version; None if the alias is new.
        after: the number of the new version; None if the alias was removed.
    """

    alias: str
    kind: AliasMoveKind
    before: int | None
    after: int | None
    moved_at: datetime
    moved_by: str


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter in the catalog.

    Attributes:
        tags: sorted by name.
        aliases: sorted by name, without the computed `latest`.
        archived_at: when it was archived; None while it is listed.
        newest: the newest version that is not withdrawn.
    """

    slug: str
    title: str
    description: str
    owner: str
    tags: tuple[str, ...]
    aliases: tuple[Alias, ...]
    created_at: datetime
    archived_at: datetime | None
    newest: Version | None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A change of the catalog or of users, recorded with its author.

    Attributes:
        event_uid: an id that no event of another registry has.
        entity: the kind of thing that changed, such as `adapter`, `version` or `alias`.
        entity_id: the name of the thing, such as `pets` or `pets@2`.
        payload: the details of the change, as plain JSON.
    """

    id: int
    event_uid: str
    ts: datetime
    actor: str
    kind: str
    entity: str
    entity_id: str
    payload: Mapping[str, Any]
