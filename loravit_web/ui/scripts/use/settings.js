// Unfold the settings of Use.
loravit.useSettings = (() => {
  const listen = (element) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const isShown = document.querySelector("#use-options").classList.toggle("lv-shown");
      button.setAttribute("aria-expanded", String(isShown));
    });
  };

  return {listen};
})();
