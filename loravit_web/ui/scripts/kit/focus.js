// Keep the keyboard focus in an HTML component that Gradio draws again.
loravit.focus = (() => {
  // The focus returns to the element with the same `data-key`.
  const keep = (element) => {
    let lastKey = null;
    document.addEventListener("pointerdown", (event) => {
      if (!element.contains(event.target)) lastKey = null;
    });
    element.addEventListener("focusin", (event) => { lastKey = event.target.dataset.key || null; });
    element.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !element.contains(event.relatedTarget)) lastKey = null;
    });
    new MutationObserver(() => {
      if (!lastKey || element.contains(document.activeElement)) return;
      element.querySelector(`[data-key="${lastKey}"]`)?.focus({preventScroll: true});
    }).observe(element, {childList: true, subtree: true});
  };

  return {keep};
})();
