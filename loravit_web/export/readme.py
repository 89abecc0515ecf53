"""The README of an exported folder."""

from __future__ import annotations

from loravit_web.adapters.files.card import escaped
from loravit_web.runtime.layout import Export

_BYTES = {"fp32": "32-bit floats", "fp16": "16-bit floats", "int8": "8-bit integers"}


def readme(export: Export) -> str:
    """Return the README of an export: what its files are, how to use them, and where they come from."""
    base, stored = export.base, _BYTES[export.precision]
    rows = [
        f"| `{task.task}` | {escaped(task.title)} | {len(task.class_names)} | {task.image_size} px | "
        f"`{task.weights_sha256}` | [card]({task.folder}/README.md) |"
        for task in export.tasks
    ]
    table = "\n".join(
        [
            "| Task | Title | Classes | Images | SHA-256 of its weights | |",
            "|---|---|---:|---|---|---|",
            *rows,
        ]
    )
    return f"""# Exported tasks

Written by {export.made_by}. {len(export.tasks)} image classifiers on one frozen Vision Transformer.

{table}

## Files

- `export.json`: which graphs compute each task, and how its answer is read.
- `*.onnx`: graphs in the ONNX format, which take their weights from `{export.weights}` ({stored}).
  The trunk runs once per image, a branch once per task.
- `tasks/`: each adapter as the catalog has it, with its model card.

## Use

```python
from loravit_web.runtime import load

model = load("this-folder")
for answer in model.classify("image.jpg"):
    print(answer.task, answer.text, answer.unsure, answer.unlike)
```

It needs onnxruntime, NumPy and Pillow. In the shell: `loravit predict --exported FOLDER IMAGE`.

## Base

{escaped(base["name"])} (`{base["architecture"]}`) from {escaped(base["source"])}.
License: {escaped(base["license"])}.
SHA-256 of its weights: `{base["weights_sha256"]}`. SHA-256 of `{export.weights}`: `{export.weights_sha256}`.
"""
