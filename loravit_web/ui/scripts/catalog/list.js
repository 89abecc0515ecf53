// The list of adapters: a click selects a row, arrow keys move between rows, and check boxes select several.
loravit.list = (() => {
  let select = () => {};

  // An empty reference closes the card.
  const open = (ref) => select(ref);

  const listen = (element, trigger) => {
    const rows = () => [...element.querySelectorAll("button[data-slug]")];

    select = (ref) => {
      const [slug] = ref.split("@");
      for (const row of rows()) {
        if (slug && row.dataset.slug === slug) row.setAttribute("aria-current", "true");
        else row.removeAttribute("aria-current");
      }
      loravit.address.set("adapter", ref);
      trigger("select", {index: 0, value: ref});
    };

    element.addEventListener("click", (event) => {
      const row = event.target.closest("button[data-slug]");
      if (row) open(row.dataset.slug);
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
      const [first] = rows(), isLinked = loravit.address.get("adapter");
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

  const close = () => open("");
  loravit.address.follow("adapter", open);

  return {listen, open, close};
})();
