// The table of versions: a click opens or promotes a version, and check boxes select versions to compare.
loravit.versions = (() => {
  const listen = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-ref]");
      if (!button) return;
      const {ref, act} = button.dataset;
      if (act === "promote") {
        trigger("click", {ref});
      } else {
        loravit.address.set("adapter", ref);
        trigger("select", {index: 0, value: ref});
      }
    });

    element.addEventListener("change", (event) => {
      const box = event.target.closest("input[data-ref]");
      if (!box) return;
      event.stopPropagation();
      trigger("input", {ref: box.dataset.ref, on: box.checked});
    });
  };

  // The table of aliases: a click rolls one back.
  const listenToAliases = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-alias]");
      if (button) trigger("click", {alias: button.dataset.alias});
    });
  };

  return {listen, listenToAliases};
})();
