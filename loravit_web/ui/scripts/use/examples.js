// The example images: a click selects one.
loravit.examples = (() => {
  const listen = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-example]");
      if (button) trigger("select", {index: Number(button.dataset.example), value: null});
    });
  };

  return {listen};
})();
