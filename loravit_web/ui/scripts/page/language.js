// The language of the page is in its address if a reader chose it. Links within the page keep it.
loravit.language = (() => {
  const parameter = "lang";
  const isPlain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);

  // A click on a language shows the same of the page in it.
  const listen = (element) => {
    element.addEventListener("click", (event) => {
      const link = event.target.closest("a[hreflang]");
      if (!link || !isPlain(event)) return;
      event.preventDefault();
      const address = new URL(window.location);
      address.searchParams.set(parameter, link.hreflang);
      window.location.assign(address);
    });
  };

  // Before others read the link.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='?']"), chosen = new URLSearchParams(window.location.search).get(parameter);
    if (!link || !chosen || link.hreflang) return;
    const query = new URLSearchParams(link.getAttribute("href"));
    query.set(parameter, chosen);
    link.setAttribute("href", `?${query}`);
  }, true);

  return {listen};
})();
