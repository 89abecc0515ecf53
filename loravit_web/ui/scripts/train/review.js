// Images without labels: one is in view, and a key decides on it. The next one follows at once, in the browser.
loravit.review = (() => {
  const listen = (element, trigger) => {
    let decided = [];  // hashes of the images that were decided on here, the last one at the end

    const images = () => [...element.querySelectorAll("li[data-sha]")];
    const open = () => images().filter((image) => !decided.includes(image.dataset.sha));

    const draw = () => {
      const all = images(), [current] = open();
      for (const image of all) image.hidden = image !== current;
      for (const image of open().slice(0, 3)) {  // the next ones are loaded before they are in view
        const picture = image.querySelector("img[data-src]");
        if (!picture) continue;
        picture.src = picture.dataset.src;
        delete picture.dataset.src;
      }
      const place = element.querySelector("[data-place]"), undo = element.querySelector("[data-undo]");
      if (place) {
        const {placeText, allText} = place.closest(".lv-review").dataset;
        place.textContent = (current ? placeText : allText).replace("{number}", decided.length + 1).replace("{all}", all.length);
      }
      if (undo) undo.disabled = decided.length === 0;
    };

    // Gradio replaces the images with new ones.
    let shown = "";
    const look = () => {
      const now = images().map((image) => image.dataset.sha).join();
      if (now === shown) return;
      shown = now;
      decided = [];
      draw();
      if (!now) return;
      const box = element.querySelector(".lv-review");
      box.focus({preventScroll: true});
      box.scrollIntoView({block: "start"});
    };
    new MutationObserver(look).observe(element, {childList: true, subtree: true});
    look();

    const send = (sha, label, undo) => trigger("select", {index: 0, value: JSON.stringify({sha, label, undo})});
    const decide = (label) => {
      const [current] = open();
      if (!current) return;
      decided.push(current.dataset.sha);
      send(current.dataset.sha, label, false);
      draw();
      element.querySelector(".lv-review").focus({preventScroll: true});
    };
    const undo = () => {
      const sha = decided.pop();
      if (!sha) return;
      send(sha, null, true);
      draw();
    };
    const takeOther = () => {
      const field = element.querySelector("[data-other]"), name = field.value.trim();
      field.value = "";
      if (name) decide(name);
    };

    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.label !== undefined) decide(button.dataset.label);
      else if ("skip" in button.dataset) decide(null);
      else if ("undo" in button.dataset) undo();
      else if ("take" in button.dataset) takeOther();
    });

    // Only while the focus is inside, so that no key means two things (WCAG 2.1.4).
    element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input")) {
        if (event.key === "Enter") takeOther();
        return;
      }
      const [current] = open(), buttons = [...(current?.querySelectorAll("button[data-label]") ?? [])];
      const chosen = /^[1-9]$/.test(event.key) ? buttons[Number(event.key) - 1] : null;
      const best = buttons.find((one) => "best" in one.dataset), isOnButton = Boolean(event.target.closest("button"));
      if (chosen) decide(chosen.dataset.label);
      else if (event.key === "Enter" && best && !isOnButton) decide(best.dataset.label);
      else if (event.key === "s") decide(null);
      else if (event.key === "u") undo();
      else return;
      event.preventDefault();
    });
  };

  return {listen};
})();
