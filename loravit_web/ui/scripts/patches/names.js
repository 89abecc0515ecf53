// Gradio has English names for some of its buttons and regions. They get names in the language of the page.
(() => {
  const names = loravit.values.names, attributes = ["aria-label", "title"];
  const rename = (element) => {
    for (const attribute of attributes) {
      const own = names[element.getAttribute(attribute)];
      if (own) element.setAttribute(attribute, own);
    }
  };
  const renameWithin = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    rename(node);
    node.querySelectorAll("[aria-label], [title]").forEach(rename);
  };
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "attributes") rename(change.target);
      else change.addedNodes.forEach(renameWithin);
    }
  }).observe(document.documentElement, {subtree: true, childList: true, attributes: true, attributeFilter: attributes});
})();
