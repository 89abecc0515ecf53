// The answers: bars that move, menus, and what screen readers announce.
loravit.answers = (() => {
  const {restMilliseconds} = loravit.values.ask;
  const moveMilliseconds = 180;
  let widths = new Map(), opened = new Set(), timer = 0, announced = "";

  // Move each bar from where the last answer left it.
  const moveBars = (element) => {
    const before = widths;
    widths = new Map();
    element.querySelectorAll("[data-bar]").forEach((bar) => {
      const from = before.get(bar.dataset.bar), to = bar.style.width;
      widths.set(bar.dataset.bar, to);
      if (from && from !== to) bar.animate([{width: from}, {width: to}], {duration: moveMilliseconds, easing: "ease-out"});
    });
  };

  // The element that announces stays, because screen readers ignore one that is replaced.
  const announce = (element) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const said = [...element.querySelectorAll("[data-say]")].map((card) => card.dataset.say).join(" ");
      if (said === announced) return;
      announced = said;
      document.getElementById("use-announced").textContent = said;
    }, restMilliseconds);
  };

  // On phones, an answer is one line until it is tapped. A new answer of the same task stays open.
  const showOpened = (element) => {
    element.querySelectorAll(".lv-answer").forEach((card) => {
      const isOpen = opened.has(card.dataset.task);
      card.classList.toggle("lv-open", isOpen);
      card.querySelector(".lv-more-labels")?.setAttribute("aria-expanded", String(isOpen));
    });
  };

  const closeMenus = (except) => {
    document.querySelectorAll("details.lv-menu[open]").forEach((menu) => {
      if (!menu.contains(except)) menu.open = false;
    });
  };

  const listen = (element, trigger) => {
    new MutationObserver(() => {
      moveBars(element);
      showOpened(element);
      announce(element);
    }).observe(element, {childList: true, subtree: true});

    element.addEventListener("click", (event) => {
      const card = event.target.closest("a[data-card]"), isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey);
      if (card && isPlain) {
        event.preventDefault();
        trigger("select", {index: 0, value: card.dataset.card});
      }
      const more = event.target.closest(".lv-more-labels");
      if (more) {
        const {task} = more.closest(".lv-answer").dataset;
        if (!opened.delete(task)) opened.add(task);
        showOpened(element);
      }
      const teach = event.target.closest("[data-teach]");
      if (teach) trigger("input", {teach: teach.dataset.teach});
      if (event.target.closest("[data-fit]")) document.getElementById("use-fit")?.click();
      if (event.target.closest(".lv-menu a, .lv-menu button")) closeMenus(null);
    });
    document.addEventListener("click", (event) => closeMenus(event.target));
    document.addEventListener("keydown", (event) => {
      const menu = document.querySelector("details.lv-menu[open]");
      if (event.key !== "Escape" || !menu) return;
      menu.querySelector("summary").focus();
      closeMenus(null);
    });
  };

  const nothing = () => "";

  // The choice of a class is drawn first.
  const showTeach = () => setTimeout(() => {
    document.querySelector("#use-teach")?.scrollIntoView({block: "nearest"});
    document.querySelector("#use-teach-class input")?.focus({preventScroll: true});
  }, 100);

  return {listen, nothing, showTeach};
})();
