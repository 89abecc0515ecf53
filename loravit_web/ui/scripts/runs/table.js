// The list of runs: a click selects a run, and check boxes select runs to compare.
loravit.runs = (() => {
  const listen = (element, trigger) => {
    element.addEventListener("click", (event) => {
      // Links open in another browser tab as usual.
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      if (event.target.closest(".lv-tick")) return;
      const place = event.target.closest("a[data-run], tr[data-run]");
      if (!place) return;
      event.preventDefault();
      const {run} = place.dataset;
      element.querySelectorAll("tr[aria-current]").forEach((row) => row.removeAttribute("aria-current"));
      element.querySelector(`tr[data-run="${run}"]`)?.setAttribute("aria-current", "true");
      loravit.address.set("run", run);
      trigger("click", {run});
    });

    element.addEventListener("change", (event) => {
      if (!event.target.matches("input[data-run]")) return;
      event.stopPropagation();
      trigger("input", {run: event.target.dataset.run, on: event.target.checked});
    });
  };

  // The attribute of a check box that was clicked no longer sets its state when the table is drawn again.
  const showTicks = () => requestAnimationFrame(() => {
    for (const box of document.querySelectorAll("#runs-table input[data-run]")) {
      box.checked = box.hasAttribute("checked");
    }
  });

  // The HTML of the selected run holds its link.
  const nameRun = (html) => {
    const link = html?.match(/[?&;]run=([0-9a-f]{32})/);
    if (link) loravit.address.set("run", link[1]);
  };

  const showDetail = () => document.querySelector("#runs-progress")?.scrollIntoView({block: "nearest"});
  const hearIfOpen = (now, heard) => document.querySelector("#runs-search")?.offsetParent ? now : heard;

  return {listen, showTicks, nameRun, showDetail, hearIfOpen};
})();
