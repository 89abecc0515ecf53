"""The page by keyboard: 1 to 9 toggle the first tasks, / searches, t turns heat-maps on and off.

The search for tasks hears keys alone, so it is told a key of what is pasted, dropped or dictated into it.
"""

SCRIPT = """
<script>
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (target.closest("input:not([type=checkbox]), textarea, select, [contenteditable=true]")) return;
  const visible = (element) => element && element.offsetParent !== null;
  const press = (element) => { if (visible(element)) { element.click(); event.preventDefault(); } };
  if (/^[1-9]$/.test(event.key)) {
    press(document.querySelectorAll("#use-quick input[type=checkbox]")[Number(event.key) - 1]);
  } else if (event.key === "/") {
    const search = document.querySelector("#use-tasks input");
    if (visible(search)) { search.focus(); event.preventDefault(); }
  } else if (event.key === "t") {
    press(document.querySelector("#use-heat input[type=checkbox]"));
  }
});
(() => {
  let pressed = false;
  addEventListener("keydown", () => { pressed = true; }, true);
  addEventListener("keyup", () => { pressed = false; }, true);
  document.addEventListener("input", ({target}) => {
    if (pressed || !target.closest("#use-tasks")) return;
    target.dispatchEvent(new KeyboardEvent("keyup", {key: "Unidentified", bubbles: true}));
  });
})();
</script>
"""
KEEP_PLACE = """
let last = null;
const away = (event) => { if (!element.contains(event.target)) last = null; };
document.addEventListener("pointerdown", away);
element.addEventListener("focusin", (event) => { last = event.target.dataset.key || null; });
element.addEventListener("focusout", (event) => {
  if (event.relatedTarget && !element.contains(event.relatedTarget)) last = null;
});
new MutationObserver(() => {
  if (!last || element.contains(document.activeElement)) return;
  const again = element.querySelector(`[data-key="${last}"]`);
  if (again) again.focus({preventScroll: true});
}).observe(element, {childList: true, subtree: true});
"""
"""For an HTML component that is drawn anew: by keyboard one stays where one was, found by its `data-key`."""
