// The list of adapters: a click selects a row, arrow keys move between rows.
loravit.list = (() => {
  const listen = (element, trigger) => {
    const rows = () => [...element.querySelectorAll("button[data-slug]")];

    element.addEventListener("click", (event) => {
      const row = event.target.closest("button[data-slug]");
      if (!row) return;
      for (const other of rows()) other.toggleAttribute("aria-current", false);
      row.setAttribute("aria-current", "true");
      trigger("select", {index: 0, value: row.dataset.slug});
    });

    element.addEventListener("keydown", (event) => {
      const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
      const all = rows(), index = all.indexOf(document.activeElement);
      if (!step || index < 0) return;
      event.preventDefault();
      (all[index + step] || all[index]).focus();
    });
  };

  return {listen};
})();
