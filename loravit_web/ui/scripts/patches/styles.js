// Load the styles of components that appear together in one request.
// Gradio adds a link for each, about three dozen on this page, and every link costs the browser 1 to 2 ms.
(() => {
  const folder = new URL("./assets/", document.baseURI).href;
  const append = document.head.appendChild.bind(document.head);
  const isStylesheet = (node) =>
    node.rel === "stylesheet"
    && node.href.startsWith(folder)
    && /^[\w.-]+\.css$/.test(node.href.slice(folder.length));
  let waiting = [];

  const request = () => {
    const links = waiting;
    waiting = [];
    if (links.length === 1) return append(links[0]);
    const combined = document.createElement("link");
    combined.rel = "stylesheet";
    combined.href = folder + "together.css?" + links.map((link) => link.href.slice(folder.length)).join("&");
    combined.onload = () => links.forEach((link) => link.dispatchEvent(new Event("load")));
    combined.onerror = () => links.forEach(append);
    append(combined);
  };

  document.head.appendChild = (node) => {
    if (!isStylesheet(node)) return append(node);
    if (waiting.push(node) === 1) queueMicrotask(request);
    return node;
  };
})();
