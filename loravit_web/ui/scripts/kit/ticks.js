// Check boxes in HTML components that Gradio draws again.
loravit.ticks = (() => {
  // The attribute of a check box that was clicked no longer sets its state when it is drawn again.
  const show = () => requestAnimationFrame(() => {
    for (const box of document.querySelectorAll(".lv-tick input")) box.checked = box.hasAttribute("checked");
  });

  return {show};
})();
