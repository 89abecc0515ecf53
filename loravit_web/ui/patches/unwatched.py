"""The description of the page, so that Gradio's browser side has less to do with it.

Before it shows anything, Gradio looks for the events of every component, twice, and each read goes through
Svelte's proxies: a fifth of what this page's opening computes. Svelte makes proxies of plain objects and
lists only, and the description never changes, so its parts get prototypes of their own. An event that follows
another one, not a component, is described as one of the component None, for which the whole page is searched
in vain as often; what it follows is said beside that. Where another version of Gradio reads it differently,
this does nothing.
"""

from __future__ import annotations

SCRIPT = """
<script>
(() => {
  class Kept {}
  class KeptList extends Array {}
  KeptList.prototype.constructor = Array;  // what is made of one is a plain list again
  const keep = (one) => {
    if (one) Object.setPrototypeOf(one, Array.isArray(one) ? KeptList.prototype : Kept.prototype);
  };
  const keepTree = (node) => { keep(node); node.children?.forEach(keepTree); keep(node.children); };
  const {dependencies, components, layout} = window.gradio_config ?? {};
  dependencies?.forEach((event) => {
    event.targets = event.targets.filter(([component]) => component !== null);
    keep(event);
  });
  components?.forEach((one) => { keep(one.props); keep(one); });
  if (layout) keepTree(layout);
  keep(dependencies);
  keep(components);
})();
</script>
"""
