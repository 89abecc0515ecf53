// Keep what the page shows in its address, so that a reload or a link shows the same, and Back and Forward lead
// through what was shown.
loravit.address = (() => {
  const {hub, tabs, owners, narrowPixels} = loravit.values.address;
  const isOnSpace = window.parent !== window && window.location.hostname.endsWith(".hf.space");
  const narrow = window.matchMedia(`(max-width: ${narrowPixels}px)`);
  const parameters = () => new URLSearchParams(window.location.search);

  // The Hub shows a Space in a frame of its own page, whose address readers see and share. The Hub passes
  // that address on, and takes a new one in this message. Parameters that start with two underscores belong
  // to the Hub, for example the key to a private Space.
  const tellHub = () => {
    const own = new URLSearchParams([...parameters()].filter(([name]) => !name.startsWith("__")));
    if (isOnSpace) window.parent.postMessage({queryString: own.toString()}, hub);
  };

  // What Back leads to: another tab, another step of Train, and another adapter or run. On a wide screen the first
  // of those stands beside its list and is nothing to go back to.
  const leadsBack = (name) => {
    if (name === "tab" || name === "step") return true;
    return name in shows && (Boolean(get(name)) || narrow.matches);
  };

  const changed = (values) => {
    const address = new URL(window.location);
    for (const [name, value] of Object.entries(values)) {
      if (value) address.searchParams.set(name, value);
      else address.searchParams.delete(name);
    }
    return address;
  };

  const go = (address, change) => {
    if (address.href === window.location.href) return;  // Safari limits changes in half a minute
    window.history[change](null, "", address);
    known = parameters();
    tellHub();
  };

  // The address names what is shown, so it has the parameters of the open tab only. Those of other tabs wait here.
  const waiting = Object.fromEntries(tabs.map((tab) => [tab, {}]));
  const openTabName = () => parameters().get("tab") || tabs[0];
  const isOf = (tab, name) => !(name in owners) || owners[name].includes(tab);

  const get = (name) => {
    const value = isOf(openTabName(), name) ? parameters().get(name) : waiting[owners[name][0]][name];
    return value ?? "";
  };

  // Return those of some parameters that belong into the address now, and let the others wait for their tab.
  const shown = (values) => {
    const now = openTabName();
    return Object.fromEntries(Object.entries(values).filter(([name, value]) => {
      if (isOf(now, name)) return true;
      waiting[owners[name][0]][name] = value;
      return false;
    }));
  };

  // Let the parameters of a tab that is left wait for its return.
  const leave = (tab, values) => {
    waiting[tab] = Object.fromEntries([...values].filter(([name]) => name in owners && isOf(tab, name)));
  };

  // Return the change of parameters with another tab.
  const ofTab = (tab) => {
    const before = openTabName(), now = tab || tabs[0];
    if (before === now) return {tab};
    leave(before, parameters());
    const none = Object.fromEntries(Object.keys(owners).map((name) => [name, ""]));
    return {...none, ...waiting[now], tab};
  };

  // Set a parameter of the address; an empty value removes it.
  const set = (name, value) => {
    go(changed(name === "tab" ? ofTab(value) : shown({[name]: value})), leadsBack(name) ? "pushState" : "replaceState");
  };

  // Set a parameter to the full name of what it names already.
  const complete = (name, value) => go(changed(shown({[name]: value})), "replaceState");

  // Set parameters that belong together; Back leads to the values before unless they are only made precise.
  const setAll = (values, isPrecise) => go(changed(shown(values)), isPrecise ? "replaceState" : "pushState");

  // By parameter, the function that shows its value after Back or Forward.
  const shows = {};
  const follow = (name, show) => { shows[name] = show; };
  let known = parameters();

  const openTab = (tab) => {
    const buttons = document.querySelectorAll("#tabs > .tab-wrapper .tab-container:not(.visually-hidden) [role=tab]");
    buttons[Math.max(0, tabs.indexOf(tab))]?.click();
  };
  follow("tab", openTab);

  // A link to a tab opens it without loading the page again.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-tab]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    openTab(link.dataset.tab);
  });

  window.addEventListener("popstate", () => {
    const before = known;
    known = parameters();
    tellHub();
    const [left, now] = [before, known].map((values) => values.get("tab") || tabs[0]);
    if (left !== now) leave(left, before);
    // The tab comes first: what a tab contains is drawn when it is opened. Other tabs stay as they are.
    const isChanged = (name) => before.get(name) !== known.get(name) && isOf(now, name);
    Object.keys(shows).filter(isChanged).forEach((name, index) => {
      setTimeout(() => shows[name](known.get(name) ?? ""), index * 100);
    });
  });

  const isNarrow = () => narrow.matches;

  return {get, set, setAll, complete, follow, isNarrow};
})();
