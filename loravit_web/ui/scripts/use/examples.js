// The example images: a click opens one with its tasks. The one that is shown is marked.
loravit.examples = (() => {
  const listen = (element, trigger) => {
    const mark = () => {
      const shown = document.querySelector("#use-image img")?.src ?? "";
      element.querySelectorAll("[data-file]").forEach((button) => {
        if (shown.includes(button.dataset.file)) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      });
    };

    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-example]");
      if (button) trigger("select", {index: Number(button.dataset.example), value: null});
    });
    // not the image itself, which is drawn later
    const box = document.querySelector("#use-box");
    new MutationObserver(mark).observe(box, {attributeFilter: ["src"], childList: true, subtree: true});
  };

  return {listen};
})();
