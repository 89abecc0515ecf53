// The card of a version.
loravit.card = (() => {
  // On a narrow screen the card takes the place of the list.
  const scrollTo = () => {
    const card = document.getElementById("catalog-card");
    if (card?.offsetParent && loravit.address.isNarrow()) card.scrollIntoView({block: "start"});
  };

  // The link to the card names its version. There is none without a card.
  const show = (link) => {
    loravit.address.set("adapter", link ? new URL(link).searchParams.get("adapter") : "");
    scrollTo();
  };

  const listenToHead = (element) => {
    element.addEventListener("click", (event) => {
      if (event.target.closest("button[data-act=close]")) loravit.list.close();
    });
  };

  const saveFile = (file) => {
    const link = document.createElement("a");
    link.href = file.url;
    link.download = file.orig_name || "";
    document.body.append(link);
    link.click();
    link.remove();
  };

  // A text that is missing is told below its field, which gets the focus.
  const showFault = () => requestAnimationFrame(() => {
    if (document.querySelector("#catalog-reason-told .lv-field-error")) {
      document.querySelector("#catalog-reason :is(input, textarea)")?.focus();
    }
  });

  return {scrollTo, show, saveFile, showFault, listenToHead};
})();
