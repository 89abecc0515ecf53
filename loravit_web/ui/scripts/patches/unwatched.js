// Keep Svelte from watching the description of the page, which saves a fifth of the time to open the page.
// Gradio searches the events of every component twice, and each read goes through Svelte's proxies. Svelte
// wraps only plain objects and arrays, so the parts of the description get other prototypes.
(() => {
  class Kept {}
  class KeptList extends Array {}
  KeptList.prototype.constructor = Array;  // methods of a kept list return plain arrays

  const keep = (part) => {
    if (part) Object.setPrototypeOf(part, Array.isArray(part) ? KeptList.prototype : Kept.prototype);
  };
  const keepTree = (node) => {
    keep(node);
    node.children?.forEach(keepTree);
    keep(node.children);
  };

  const {dependencies, components, layout} = window.gradio_config ?? {};
  dependencies?.forEach((event) => {
    // The description of an event that follows another names the component null, for which Gradio searches
    // the whole page in vain. A separate field names the event that it follows.
    event.targets = event.targets.filter(([component]) => component !== null);
    keep(event);
  });
  components?.forEach((component) => {
    keep(component.props);
    keep(component);
  });
  if (layout) keepTree(layout);
  keep(dependencies);
  keep(components);
})();
