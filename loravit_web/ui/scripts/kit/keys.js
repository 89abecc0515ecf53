// Keyboard shortcuts: 1 to 9 switch the first tasks, "/" searches tasks, "t" switches heat maps.
(() => {
  const isVisible = (element) => element && element.offsetParent !== null;
  // Settings may be folded, which makes them invisible.
  const press = (element, event) => {
    if (!element || !isVisible(document.querySelector("#use-answers"))) return;
    element.click();
    event.preventDefault();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = "input:not([type=checkbox]), textarea, select, [contenteditable=true]";
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
})();
