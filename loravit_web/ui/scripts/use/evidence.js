// Show the evidence for a class large, over the page. Another class can be chosen there.
loravit.evidence = (() => {
  const {route} = loravit.values.evidence;
  let last = 0;

  const listen = (element) => {
    const dialog = element.querySelector("dialog"), content = dialog.querySelector("div");
    let asked = null;

    const show = async () => {
      const number = ++last, isPlain = content.querySelector("input")?.checked;
      dialog.setAttribute("aria-busy", "true");
      const {html} = await loravit.ask.run(route, JSON.stringify(asked));
      if (number !== last) return;
      const hadFocus = content.contains(document.activeElement);
      content.innerHTML = html;
      dialog.removeAttribute("aria-busy");
      const classes = content.querySelector("select"), plain = content.querySelector("input");
      if (plain) plain.checked = isPlain ?? false;
      if (hadFocus) classes?.focus();
    };

    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-evidence]");
      if (!button) return;
      asked = JSON.parse(button.dataset.evidence);
      const heading = document.createElement("h2"), small = button.querySelector("img").cloneNode();
      heading.id = "lv-evidence-title";
      heading.textContent = asked.task;
      const shown = document.createElement("div");
      shown.className = "lv-evidence-image";
      shown.append(small);  // the small map until the large one is there
      content.replaceChildren(heading, shown);
      dialog.showModal();
      show();
    });
    content.addEventListener("change", (event) => {
      if (event.target.localName !== "select") return;
      asked = {...asked, label: event.target.value};
      show();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();  // a click beside it
    });
    dialog.addEventListener("close", () => { last += 1; });
  };

  return {listen};
})();
