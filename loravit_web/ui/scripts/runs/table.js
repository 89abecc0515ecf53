// The list of runs: a click selects a run, and check boxes select runs to compare.
loravit.runs = (() => {
  const mark = (run) => {
    document.querySelectorAll("#runs-table tr[aria-current]").forEach((row) => row.removeAttribute("aria-current"));
    if (run) document.querySelector(`#runs-table tr[data-run="${run}"]`)?.setAttribute("aria-current", "true");
    loravit.address.set("run", run);
  };
  // Links open in another browser tab as usual.
  const isPlain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);

  let choose = () => {};
  // An empty ID closes the selected run.
  const open = (run) => { mark(run); choose(run); };

  const listen = (element, trigger) => {
    choose = (run) => trigger("click", {run});
    element.addEventListener("click", (event) => {
      if (!isPlain(event) || event.target.closest(".lv-tick")) return;
      const place = event.target.closest("a[data-run], tr[data-run]");
      if (!place) return;
      event.preventDefault();
      mark(place.dataset.run);
      trigger("click", {run: place.dataset.run});
    });

    element.addEventListener("change", (event) => {
      if (!event.target.matches("input[data-run]")) return;
      event.stopPropagation();
      trigger("input", {run: event.target.dataset.run, on: event.target.checked});
    });
  };

  const listenToDetail = (element) => {
    element.addEventListener("click", (event) => {
      if (event.target.closest("button[data-act=close]")) open("");
    });
  };

  // The running and queued runs: a name and Stop select a run, Watch leads to Train.
  const listenToBanner = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const place = event.target.closest("a[data-run], button[data-run]");
      if (!place || !isPlain(event)) return;
      event.preventDefault();
      const {run, act} = place.dataset;
      if (act === "watch") {
        trigger("click", {run});
      } else {
        mark(run);
        trigger("select", {run});
      }
    });
  };

  // The HTML of the selected run holds its link, with the full ID of a run that the address names by its start.
  const nameRun = (html) => {
    const link = html?.match(/[?&;]run=([0-9a-f]{32})/);
    const asked = loravit.address.get("run");
    if (link && asked && link[1].startsWith(asked)) loravit.address.complete("run", link[1]);
  };

  const showDetail = () => document.querySelector("#runs-progress")?.scrollIntoView({block: "nearest"});
  const hearIfOpen = (now, heard) => document.querySelector("#runs-search")?.offsetParent ? now : heard;

  loravit.address.follow("run", open);

  return {listen, listenToBanner, listenToDetail, nameRun, showDetail, hearIfOpen};
})();
