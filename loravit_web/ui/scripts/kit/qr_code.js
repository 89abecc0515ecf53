// The QR code of a link, which must never lead elsewhere than the link beside it.
loravit.qrCode = (() => {
  // Keep a code of the same link; a change also occurs whenever the link is drawn.
  const keep = (link, drawn) => {
    const page = new DOMParser().parseFromString(drawn ?? "", "text/html");
    return page.querySelector("[data-link]")?.dataset.link === link ? drawn : "";
  };

  return {keep};
})();
