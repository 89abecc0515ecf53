// The card of a version.
loravit.card = (() => {
  // On a narrow screen the card takes the place of the list.
  const scrollTo = () => {
    const card = document.getElementById("catalog-card");
    if (card?.offsetParent && loravit.address.isNarrow()) card.scrollIntoView({block: "start"});
  };

  // The link to the card names its version. There is none without a card.
  const named = (link) => link ? new URL(link).searchParams.get("adapter") : "";
  const show = (link) => {
    loravit.address.set("adapter", named(link));
    scrollTo();
  };

  const isVersionOf = (ref, asked) => {
    const [slug, version] = ref.split("@"), [askedSlug, askedVersion] = asked.split("@");
    return slug === askedSlug && (!/^\d+$/.test(askedVersion ?? "") || version === askedVersion);
  };

  // The address names a selection before the server replies. A reply that comes after another selection, or
  // after Back, shows the wrong card: what the address names is opened again, once.
  let opened = null;
  const showSelected = (link) => {
    const asked = loravit.address.get("adapter"), ref = named(link);
    if (isVersionOf(ref, asked)) {
      opened = null;
      loravit.address.complete("adapter", ref);
      scrollTo();
    } else if (link && opened !== asked) {
      opened = asked;
      loravit.list.open(asked);
    }
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

  return {scrollTo, show, showSelected, saveFile, showFault, listenToHead};
})();
