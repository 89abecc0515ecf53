// Keep what the page shows in its address, so that a reload or a link shows the same.
loravit.address = (() => {
  const {hub} = loravit.values.address;
  const isOnSpace = window.parent !== window && window.location.hostname.endsWith(".hf.space");

  // The Hub shows a Space in a frame of its own page, whose address readers see and share. The Hub passes
  // that address on, and takes a new one in this message. Parameters that start with two underscores belong
  // to the Hub, for example the key to a private Space.
  const tellHub = (parameters) => {
    const own = new URLSearchParams([...parameters].filter(([name]) => !name.startsWith("__")));
    window.parent.postMessage({queryString: own.toString()}, hub);
  };

  // Set a parameter of the address; an empty value removes it.
  const set = (name, value) => {
    const address = new URL(window.location);
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
    if (address.href === window.location.href) return;  // Safari limits changes in half a minute
    window.history.replaceState(null, "", address);
    if (isOnSpace) tellHub(address.searchParams);
  };

  return {set};
})();
