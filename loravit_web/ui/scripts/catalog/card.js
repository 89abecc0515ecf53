// The card of a version.
loravit.card = (() => {
  // On a narrow screen the card is below the list.
  const scrollTo = () => {
    const card = document.getElementById("catalog-card");
    if (card?.offsetParent && window.innerWidth < 800) card.scrollIntoView({block: "start"});
  };

  const show = (ref) => {
    loravit.address.set("adapter", ref);
    scrollTo();
  };

  const saveFile = (file) => {
    const link = document.createElement("a");
    link.href = file.url;
    link.download = file.orig_name || "";
    document.body.append(link);
    link.click();
    link.remove();
  };

  return {scrollTo, show, saveFile};
})();
