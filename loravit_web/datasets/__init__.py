"""Datasets: safe archives, folder layouts, stratified splits and a content-addressed store."""

from __future__ import annotations

from loravit_web.datasets.advice import advice
from loravit_web.datasets.duplicates import NearDuplicates, NearPair, near_duplicates
from loravit_web.datasets.errors import (
    ArchiveError,
    DatasetDamaged,
    DatasetError,
    DatasetNotFound,
    DiskFull,
    LayoutError,
)
from loravit_web.datasets.layout.plan import Plan
from loravit_web.datasets.records import SPLITS, ImageDataset, ImageItem, Skipped, SourceKind, Split
from loravit_web.datasets.relabel import SEVERAL_LABELS, Changes, ImageKey, relabeled, with_image
from loravit_web.datasets.sources.archives import ArchiveLimits, SafeArchive, archive_limits, open_archive
from loravit_web.datasets.sources.hub import from_hub
from loravit_web.datasets.sources.opening import open_source
from loravit_web.datasets.sources.samples import SAMPLES, Sample
from loravit_web.datasets.sources.uploads import csv_with_zip, files_by_class
from loravit_web.datasets.splits import strata, stratified_split, stratified_subset
from loravit_web.datasets.store import DatasetStore
from loravit_web.datasets.stored.uploaders import Uploader

__all__ = [
    "SAMPLES",
    "SEVERAL_LABELS",
    "SPLITS",
    "ArchiveError",
    "ArchiveLimits",
    "Changes",
    "DatasetDamaged",
    "DatasetError",
    "DatasetNotFound",
    "DatasetStore",
    "DiskFull",
    "ImageDataset",
    "ImageItem",
    "ImageKey",
    "LayoutError",
    "NearDuplicates",
    "NearPair",
    "Plan",
    "SafeArchive",
    "Sample",
    "Skipped",
    "SourceKind",
    "Split",
    "Uploader",
    "advice",
    "archive_limits",
    "csv_with_zip",
    "files_by_class",
    "from_hub",
    "near_duplicates",
    "open_archive",
    "open_source",
    "relabeled",
    "strata",
    "stratified_split",
    "stratified_subset",
    "with_image",
]
