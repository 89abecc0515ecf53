// Ask for changes of the registry at intervals, while the page is visible and online.
// Gradio reloads the page after a failed request of its own timer, which loses what was typed.
(() => {
  const {milliseconds, seldomEvery, seldomButton} = loravit.values.pulse;
  let looks = 0;
  const look = () => {
    if (document.hidden || !navigator.onLine) return;
    document.querySelector("#look")?.click();
    if (++looks % seldomEvery === 0) document.getElementById(seldomButton)?.click();
  };
  setInterval(look, milliseconds);
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", look);
})();
