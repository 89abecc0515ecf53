"""Answers of exported tasks with onnxruntime, NumPy and Pillow alone; nothing here imports torch.

from loravit_web.runtime import load

model = load("take-away")
for answer in model.classify("cat.jpg"):
    print(answer.task, answer.text)
"""

from loravit_web.runtime.answers import ExportedAnswer, ExportedLabel
from loravit_web.runtime.layout import ExportDamaged, ExportedTask
from loravit_web.runtime.model import ExportedModel, RuntimeMissing, UnknownExportedTask, load

__all__ = [
    "ExportDamaged",
    "ExportedAnswer",
    "ExportedLabel",
    "ExportedModel",
    "ExportedTask",
    "RuntimeMissing",
    "UnknownExportedTask",
    "load",
]
