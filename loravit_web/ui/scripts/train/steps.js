// The steps of a training: one is in view. It changes in the browser, so that no click waits for the server.
loravit.steps = (() => {
  const order = ["data", "check", "settings", "watch", "result"];
  const page = document.documentElement, messages = loravit.values.steps;
  let current = "data", data = "", taken = null, run = null, begun = null, linked = null;
  let isSettled = false;

  // The step to show once it has something to show: that of the address.
  const query = new URLSearchParams(window.location.search), named = query.get("step");
  let wanted = order.includes(named) ? named : null;
  if (!wanted && query.get("tab") === "train" && query.get("run")) wanted = "result";

  const isOpen = (step) => {
    if (step === "watch") return run !== null;
    return step === "result" ? Boolean(run?.published) : step === "data" || data !== "";
  };
  const isVisible = () => Boolean(document.querySelector("#train-steps")?.offsetParent);
  const headingOf = (step) => document.querySelector(`#train-step-${step} h2`);

  // Return what was chosen in a step, in a few words: for the run that is shown, or for the next one.
  const chosenIn = (step) => {
    if (["watch", "result"].includes(current)) return (begun ?? run)?.[step] ?? "";
    return step === "data" ? data : "";
  };

  const draw = () => {
    const now = order.indexOf(current);
    document.querySelectorAll("#train-bar .lv-steps button").forEach((button) => {
      const place = order.indexOf(button.dataset.step);
      button.disabled = place !== now && !isOpen(button.dataset.step);
      button.toggleAttribute("data-passed", place < now);
      if (place === now) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    document.querySelectorAll("#train-bar [data-done]").forEach((line) => {
      const step = line.dataset.done, text = chosenIn(step);
      line.querySelector("span").textContent = text;
      line.hidden = !text || order.indexOf(step) >= now;
    });
  };

  // Name the step in the address, and the run that it shows. The first step needs no name.
  const nameStep = (isPrecise) => {
    if (!isVisible()) return;
    const ofRun = ["watch", "result"].includes(current) && !begun && run ? {run: run.run} : {};
    loravit.address.setAll({step: current === "data" ? "" : current, ...ofRun}, isPrecise);
  };

  // Show a step, with the focus on its heading. Back leads to the step before, unless the page just opened there.
  const show = (step, isPrecise = false) => {
    const isNew = step !== current;
    current = step;
    wanted = null;
    page.dataset.trainStep = step;
    draw();
    nameStep(isPrecise || !isNew);
    if (!isNew || !isVisible()) return;
    window.dispatchEvent(new Event("resize"));  // hidden plots have no width
    window.scrollTo(0, 0);
    headingOf(step)?.focus({preventScroll: true});
    document.getElementById("train-announced").textContent = messages.title
      .replace("{number}", order.indexOf(step) + 1)
      .replace("{all}", order.length)
      .replace("{title}", () => headingOf(step)?.textContent ?? "");
  };

  const showIfWanted = (...steps) => {
    if (!steps.includes(wanted) || !isOpen(wanted)) return false;
    show(wanted, true);
    return true;
  };

  // The user does something, so no other step is wanted any more. A run that arrives late changes none.
  const settle = () => {
    wanted = null;
    isSettled = true;
  };

  // Data arrived, or went. Gradio reports it again whenever the tab opens.
  const takeData = (value, found) => {
    const isNew = value !== taken, element = document.createElement("div");
    taken = value;
    if (isNew) loravit.data.arrive();
    element.innerHTML = found ?? "";
    data = ((value ?? "").split(" ")[0] && element.querySelector("[data-summary]")?.dataset.summary) || "";
    if (!isNew || showIfWanted("check", "settings") || wanted) return draw();
    if (data && ["data", "check"].includes(current)) return show("check");
    if (!data && ["check", "settings"].includes(current)) return show("data");
    draw();
  };

  // The watched run is another one, or its status changed. At its end the result takes the place of Watch.
  const takeRun = (text) => {
    const before = run;
    run = text ? JSON.parse(text) : null;
    if (begun && run?.run !== begun.before) endBegin();
    if (wanted === "watch" && run?.published) wanted = "result";
    if (wanted === "result" && run && !run.published) wanted = "watch";
    if (showIfWanted("watch", "result")) return;
    const isReady = run?.published && (before?.run !== run.run || !before.published);
    if (isReady && current === "watch") return show("result");
    const isFirst = !before && !isSettled;
    if (isFirst && current === "data" && !data && run) return show(run.published ? "result" : "watch", true);
    if (!begun && !isOpen(current)) return show("data", true);
    draw();
    nameStep(true);
  };

  const endBegin = () => {
    begun = null;
    delete page.dataset.trainBegins;
  };

  // Start was clicked: show the step Watch and lock the button. The answer of the server comes later.
  const begin = (placeholder, name) => {
    const preset = document.querySelector("#train-preset input:checked")?.closest("label")?.textContent ?? "";
    const settings = [preset.split("·")[0], name ?? ""].map((part) => part.trim()).filter(Boolean).join(" · ");
    begun = {before: run?.run, data, settings};
    page.dataset.trainBegins = "";
    show("watch");
    return [placeholder, {__type__: "update", interactive: false}];
  };

  // The server refused to start: the step Settings says why.
  const refuse = (problem) => {
    if (!problem) return;
    endBegin();
    show("settings");
    document.querySelector("#train-start-problem")?.scrollIntoView({block: "nearest"});
  };

  // Follow a training that was started from the result of another one.
  const follow = (id) => show(run?.run === id && run.published ? "result" : "watch");

  // Show a step after another tab led here. The tab is drawn first.
  const open = (choose) => {
    settle();
    setTimeout(() => {
      show(choose(), true);
      window.scrollTo(0, 0);
      headingOf(current)?.focus({preventScroll: true});
    }, 100);
  };
  const openRun = () => open(() => (run?.published ? "result" : "watch"));
  const openData = (problem) => { if (!problem) open(() => "check"); };

  // After Back or Forward. A step that has nothing to show any more is left out.
  loravit.address.follow("step", (step) => {
    settle();
    show(isOpen(step || "data") ? step || "data" : "data", true);
  });

  const listen = (element) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-step]");
      if (!button) return;
      settle();
      show(button.dataset.step);
    });
    draw();
  };

  // Return the news without the run that is in view, of which no toast is needed.
  const unseen = (news) => {
    const isSeen = (id) => isVisible() && ["watch", "result"].includes(current) && run?.run === id;
    const {ended} = JSON.parse(news);
    return JSON.stringify({ended: ended.filter((id) => !isSeen(id))});
  };

  // A link to a result, such as that of a toast, opens it without loading the page again.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='?tab=train&run=']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    linked = new URLSearchParams(link.getAttribute("href")).get("run");
    document.querySelector("#see-result")?.click();
  });
  const linkedRun = () => linked;

  return {unseen, show, settle, takeData, takeRun, begin, refuse, follow, openRun, openData, listen, linkedRun};
})();
