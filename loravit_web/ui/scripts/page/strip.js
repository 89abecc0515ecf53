// The line above the tabs: a click on a run shows its progress.
loravit.strip = (() => {
  const listen = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-key]");
      if (button) trigger("click", {run: button.dataset.key});
    });
  };

  return {listen};
})();
