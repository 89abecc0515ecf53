"""Bases and datasets, from which runs and versions are made."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.audit import record_event
from registry.database.canonical import plain_json
from registry.database.db import Database, insert_into
from registry.database.models import AdapterRow, BaseRow, DatasetClassRow, DatasetRow, RunRow, VersionRow
from registry.errors import InvalidValue, UnknownBase, UnknownDataset
from registry.records import Base, Dataset, DatasetClass, DatasetSummary, NewBase, NewDataset
from registry.visibility import visibility_of


class Bases:
    """The bases in the registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(self, new: NewBase) -> Base:
        """Return the base of this name and weights hash, and register it if it is new.

        Safe for concurrent callers.
        """
        with self._database.writing() as session:
            return base_record(ensure_base(session, new, self._database.now()))


class Datasets:
    """The datasets in the registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(self, new: NewDataset) -> Dataset:
        """Return the dataset of this fingerprint, and register it if it is new.

        A known fingerprint keeps the name and the counts of its first registration. Safe for concurrent
        callers.

        Raises:
            InvalidValue: if two classes have the same name, or a name cannot be stored.
        """
        field, names = f"dataset {new.name!r}", [dataset_class.name for dataset_class in new.classes]
        if len(set(names)) != len(names):
            raise InvalidValue(field, "two of its classes have the same name. Rename one of them")
        plain_json(field, names)
        with self._database.writing() as session:
            known = select(DatasetRow).filter_by(fingerprint=new.fingerprint)
            row = session.scalars(known).one_or_none() or self._insert(session, new)
            return _dataset_record(session, row)

    def get(self, fingerprint: str) -> Dataset:
        """Return the dataset of this fingerprint.

        Raises:
            UnknownDataset: if there is none, or none that the reader may see.
        """
        with self._database.reading() as session:
            row = dataset_row(session, fingerprint)
            if row is None:
                raise UnknownDataset(fingerprint)
            return _dataset_record(session, row)

    def record_deletion(self, fingerprint: str, *, images: int, actor: str) -> None:
        """Record that a user deleted the stored images of a dataset, whose row and results stay.

        Args:
            fingerprint: the dataset, which need not be registered.
            images: the number of images.
            actor: the user.
        """
        with self._database.writing() as session:
            record_event(
                session,
                self._database.now(),
                actor=actor,
                kind="deleted",
                entity="dataset",
                entity_id=fingerprint,
                payload={"images": images},
            )

    def _insert(self, session: Session, new: NewDataset) -> DatasetRow:
        counted = sum(c.n_train + c.n_val + c.n_test for c in new.classes)
        row = DatasetRow(
            fingerprint=new.fingerprint,
            name=new.name,
            n_images=counted if new.n_images is None else new.n_images,
            n_classes=len(new.classes),
            source_kind=new.source_kind,
            created_at=self._database.now(),
        )
        session.add(row)
        session.flush()
        session.add_all(
            DatasetClassRow(
                dataset_id=row.id,
                idx=idx,
                name=dataset_class.name,
                n_train=dataset_class.n_train,
                n_val=dataset_class.n_val,
                n_test=dataset_class.n_test,
            )
            for idx, dataset_class in enumerate(new.classes)
        )
        return row


def ensure_base(session: Session, new: NewBase, now: datetime) -> BaseRow:
    """Return the row of this name and weights hash, and add it if it is new."""
    session.execute(
        insert_into(BaseRow)
        .values(
            name=new.name,
            weights_sha256=new.weights_sha256,
            architecture=new.architecture,
            embed_dim=new.embed_dim,
            depth=new.depth,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    found = select(BaseRow).filter_by(name=new.name, weights_sha256=new.weights_sha256)
    return session.scalars(found).one()


def require_base(session: Session, base_id: int) -> None:
    """Raise UnknownBase unless the base is registered."""
    if session.get(BaseRow, base_id) is None:
        raise UnknownBase(base_id)


def require_dataset(session: Session, dataset_id: int) -> None:
    """Raise UnknownDataset unless the dataset is registered."""
    if session.get(DatasetRow, dataset_id) is None:
        raise UnknownDataset(dataset_id)


def base_record(row: BaseRow) -> Base:
    """Return the row as a record."""
    return Base(
        id=row.id,
        name=row.name,
        weights_sha256=row.weights_sha256,
        architecture=row.architecture,
        embed_dim=row.embed_dim,
        depth=row.depth,
        created_at=row.created_at,
    )


def dataset_summary(row: DatasetRow, name: str | None = None) -> DatasetSummary:
    """Return the row as a record without its classes, under another name than that of its registration."""
    return DatasetSummary(row.fingerprint, row.name if name is None else name, row.n_images, row.n_classes)


def dataset_row(session: Session, fingerprint: str) -> DatasetRow | None:
    """Return the dataset of this fingerprint.

    None is returned if there is none, or if the reader sees no run and no version that uses it.
    """
    row = session.scalars(select(DatasetRow).filter_by(fingerprint=fingerprint)).one_or_none()
    visibility = visibility_of(session)
    if row is None or visibility.sees_everything:
        return row
    runs = select(RunRow.id).where(RunRow.dataset_id == row.id, visibility.shows(RunRow.created_by))
    versions = (
        select(VersionRow.id)
        .join(AdapterRow, AdapterRow.id == VersionRow.adapter_id)
        .where(VersionRow.dataset_id == row.id, visibility.shows(AdapterRow.owner))
    )
    used = session.scalar(runs.limit(1)) is not None or session.scalar(versions.limit(1)) is not None
    return row if used else None


def _dataset_record(session: Session, row: DatasetRow) -> Dataset:
    classes = session.scalars(
        select(DatasetClassRow).filter_by(dataset_id=row.id).order_by(DatasetClassRow.idx)
    )
    return Dataset(
        id=row.id,
        fingerprint=row.fingerprint,
        name=row.name,
        n_images=row.n_images,
        n_classes=row.n_classes,
        source_kind=row.source_kind,
        created_at=row.created_at,
        classes=tuple(DatasetClass(c.name, c.n_train, c.n_val, c.n_test) for c in classes),
    )
