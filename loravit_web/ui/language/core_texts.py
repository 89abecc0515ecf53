"""Texts of the core that the page shows. They are marked here, because the core knows no languages."""

from __future__ import annotations

from loravit_web.ui.language.texts import gettext_noop

PRESETS = (
    gettext_noop("up to 3000 images · an answer in seconds, without training"),
    gettext_noop("up to 800 images · feasibility check"),
    gettext_noop("up to 4000 images · short training"),
    gettext_noop("up to 5000 images · finer detail, slower"),
    gettext_noop("all images · finest detail, slowest"),
)
"""Summaries in `training.recipe.PRESETS`."""

SAMPLES = (
    gettext_noop("Scanned digits"),
    gettext_noop("Shapes in drawings"),
    gettext_noop("Object counts in drawings"),
    gettext_noop("Background textures of drawings"),
)
"""Titles in `datasets.SAMPLES`, without their sizes."""

METRICS = (
    gettext_noop("validation accuracy"),
    gettext_noop("validation mAP"),
    gettext_noop("validation loss"),
    gettext_noop("training loss"),
    gettext_noop("training accuracy"),
    gettext_noop("learning rate"),
)
"""Names in `runs.curves.LABELS`."""

RESULTS = (
    gettext_noop("test accuracy"),
    gettext_noop("published validation accuracy"),
    gettext_noop("best validation accuracy"),
    gettext_noop("best validation mAP"),
    gettext_noop("probe"),
    gettext_noop("test macro F1"),
    gettext_noop("min. validation loss"),
    gettext_noop("min. training loss"),
)
"""Names in `runs.comparison.SHOWN`."""

ADVICE = (
    gettext_noop("A resumed run would diverge again. Start a new run with a lower learning rate."),
    gettext_noop("Retry with half the batch size, which takes about half the memory, or use smaller images."),
    gettext_noop("Free some disk space, then resume the run. It continues from its last epoch."),
    gettext_noop("Import the images again, then resume the run, or start a new one."),
    gettext_noop("Make the base available again, then resume the run. LORAVIT_BASE sets the preloaded base."),
    gettext_noop("Nothing is wrong with the run. Resume it to continue from its last epoch."),
    gettext_noop(
        "Resume the run to continue from its last epoch. If it is lost again, halve the batch size."
    ),
    gettext_noop(
        "See the log below. Resume the run, or retry with half the batch size if it ran out of memory."
    ),
)
"""Sentences in `runs.next_steps.ADVICE`."""
