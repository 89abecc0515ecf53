// Keep what the page shows in its address, so that a reload or a link shows the same, and Back and Forward lead
// through what was shown.
loravit.address = (() => {
  const {hub, tabs, narrowPixels} = loravit.values.address;
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

  // What Back leads to: another tab, and another adapter or run. On a wide screen the first one stands beside its
  // list and is no step. A longer name of the same thing is none either.
  const isStep = (name, before, value) => {
    if (name === "tab") return true;
    return name in shows && !(before && value.startsWith(before)) && (Boolean(before) || narrow.matches);
  };

  // Set a parameter of the address; an empty value removes it.
  const set = (name, value) => {
    const address = new URL(window.location), before = address.searchParams.get(name) ?? "";
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
    if (address.href === window.location.href) return;  // Safari limits changes in half a minute
    const change = isStep(name, before, value) ? "pushState" : "replaceState";
    window.history[change](null, "", address);
    known = parameters();
    tellHub();
  };

  // By parameter, the function that shows its value after Back or Forward.
  const shows = {};
  const follow = (name, show) => { shows[name] = show; };
  let known = parameters();

  follow("tab", (tab) => {
    const buttons = document.querySelectorAll("#tabs > .tab-wrapper .tab-container:not(.visually-hidden) [role=tab]");
    buttons[Math.max(0, tabs.indexOf(tab))]?.click();
  });

  window.addEventListener("popstate", () => {
    const before = known;
    known = parameters();
    tellHub();
    // The tab comes first: what a tab contains is drawn when it is opened.
    Object.keys(shows).filter((name) => before.get(name) !== known.get(name)).forEach((name, index) => {
      setTimeout(() => shows[name](known.get(name) ?? ""), index * 100);
    });
  });

  const isNarrow = () => narrow.matches;

  return {set, follow, isNarrow};
})();
