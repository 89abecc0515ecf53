// Keyboard shortcuts: 1 to 9 switch the first tasks, "/" searches tasks, "t" switches heat maps, "?" lists them.
loravit.keys = (() => {
  const off = "loravit-keys-off";  // shortcuts of one key disturb speech input (WCAG 2.1.4), so they can be off
  const areOn = () => window.localStorage.getItem(off) === null;
  const isVisible = (element) => element && element.offsetParent !== null;
  // Settings may be folded, which makes them invisible.
  const press = (element, event) => {
    if (!element || !isVisible(document.querySelector("#use-answers"))) return;
    element.click();
    event.preventDefault();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !areOn()) return;
    const typing = "input:not([type=checkbox]), textarea, select, [contenteditable=true], dialog";
    if (event.target.closest(typing)) return;
    if (/^[1-9]$/.test(event.key)) {
      press(document.querySelectorAll("#use-quick input[type=checkbox]")[Number(event.key) - 1], event);
    } else if (event.key === "/") {
      const search = document.querySelector("#use-tasks input");
      if (!isVisible(search)) return;
      search.focus();
      event.preventDefault();
    } else if (event.key === "t") {
      press(document.querySelector("#use-heat input[type=checkbox]"), event);
    } else if (event.key === "?") {
      press(document.querySelector("#use-keys button"), event);
    }
  });

  // The task search only listens to keys. Text that is pasted, dropped or dictated sends none, so send one.
  let isKeyDown = false;
  addEventListener("keydown", () => { isKeyDown = true; }, true);
  addEventListener("keyup", () => { isKeyDown = false; }, true);
  document.addEventListener("input", ({target}) => {
    if (isKeyDown || !target.closest("#use-tasks")) return;
    target.dispatchEvent(new KeyboardEvent("keyup", {key: "Unidentified", bubbles: true}));
  });

  // Open the list of the shortcuts, and keep in the browser whether they are on.
  const listen = (element) => {
    const dialog = element.querySelector("dialog"), choice = dialog.querySelector("input");
    element.querySelector("button").addEventListener("click", () => {
      choice.checked = areOn();
      dialog.showModal();
    });
    choice.addEventListener("change", () => {
      if (choice.checked) window.localStorage.removeItem(off);
      else window.localStorage.setItem(off, "yes");
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();  // a click beside it
    });
  };

  return {listen};
})();
