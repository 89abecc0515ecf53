// The list of adapters: a click selects a row, arrow keys move between rows, and check boxes select several.
loravit.list = (() => {
  let choose = () => {};
  // An empty reference closes the card.
  const open = (ref) => choose(ref);

  const listen = (element, trigger) => {
    choose = (ref) => trigger("select", {index: 0, value: ref});
    const rows = () => [...element.querySelectorAll("button[data-slug]")];

    element.addEventListener("click", (event) => {
      const row = event.target.closest("button[data-slug]");
      if (!row) return;
      for (const other of rows()) other.toggleAttribute("aria-current", false);
      row.setAttribute("aria-current", "true");
      trigger("select", {index: 0, value: row.dataset.slug});
    });

    element.addEventListener("change", (event) => {
      const box = event.target.closest("input[data-slug]");
      if (!box) return;
      event.stopPropagation();
      trigger("input", {slug: box.dataset.slug, on: box.checked});
    });

    // On a wide screen the first row opens by itself, because the card would stand there empty.
    let isFirstOpened = false;
    const openFirst = () => {
      const [first] = rows(), isLinked = new URLSearchParams(window.location.search).has("adapter");
      if (isFirstOpened || !first?.offsetParent || isLinked || loravit.address.isNarrow()) return;
      isFirstOpened = true;
      if (!document.querySelector("#catalog-card")) first.click();
    };
    new ResizeObserver(openFirst).observe(element);

    element.addEventListener("keydown", (event) => {
      const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
      const all = rows(), index = all.indexOf(document.activeElement);
      if (!step || index < 0) return;
      event.preventDefault();
      (all[index + step] || all[index]).focus();
    });
  };

  loravit.address.follow("adapter", open);

  return {listen, open};
})();
