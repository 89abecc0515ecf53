"""Languages of the page.

Texts are written in English where they are used, and marked: ``_("Start training")`` in Python and in
templates. A catalog, such as ``de.po``, holds their translations. CONTRIBUTING.md says how to change them.
"""
