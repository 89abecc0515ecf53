// An image that the browser cannot show, such as a TIFF file, is told in its place, and not shown as a broken one.
(() => {
  const {hidden} = loravit.values.preview;
  const note = (event) => {
    const box = event.target.matches?.("#use-image img") && event.target.closest("#use-image");
    if (!box) return;
    if (event.type === "error") box.dataset.hidden = hidden;
    else delete box.dataset.hidden;
  };
  for (const type of ["error", "load"]) document.addEventListener(type, note, true);  // these events do not bubble
})();
