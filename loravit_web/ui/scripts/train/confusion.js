// The confusion matrix: cells are selected by mouse or keyboard.
loravit.confusion = (() => {
  const steps = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};

  const listen = (element, trigger) => {
    const cells = () => [...element.querySelectorAll("button[data-cell]")];
    // Tab reaches one cell only; arrow keys reach the others.
    const makeReachable = (cell) => {
      for (const other of cells()) other.tabIndex = other === cell ? 0 : -1;
    };

    element.addEventListener("click", (event) => {
      const cell = event.target.closest("button[data-cell]");
      if (!cell) return;
      for (const other of cells()) other.toggleAttribute("aria-current", false);
      cell.setAttribute("aria-current", "true");
      makeReachable(cell);
      trigger("select", {index: 0, value: cell.dataset.cell});
    });

    element.addEventListener("keydown", (event) => {
      const step = steps[event.key], start = event.target.closest("td");
      if (!step || !start) return;
      event.preventDefault();
      const rows = [...element.querySelectorAll("tbody tr")];
      let row = rows.indexOf(start.parentElement), column = start.cellIndex, next = null;
      do {  // cells without images are skipped
        row += step[0];
        column += step[1];
        const cell = column > 0 && rows[row] ? rows[row].cells[column] : undefined;
        if (!cell) return;
        next = cell.querySelector("button");
      } while (!next);
      makeReachable(next);
      next.focus();
    });
  };

  return {listen};
})();
