// The line above the tabs: a click on a run shows its progress.
loravit.strip = (() => {
  const listen = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-key]");
      if (button) trigger("click", {run: button.dataset.key});
    });
  };

  // The tab is drawn first.
  const showProgress = () => {
    setTimeout(() => document.querySelector("#train-progress")?.scrollIntoView(), 300);
  };

  return {listen, showProgress};
})();
