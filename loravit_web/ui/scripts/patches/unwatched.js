// Let Svelte leave the description of the page alone, which saves a fifth of the time to open the page.
// Gradio looks for the events of every component twice, and each read passes Svelte's proxies. Svelte makes
// proxies of plain objects and arrays only, so the parts of the description get prototypes of their own.
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
    // An event that follows another event is described as one of the component null, for which Gradio
    // searches the whole page in vain. What the event follows is stored beside that.
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
