// A confirmation gets the focus, which returns to where it was afterwards.
loravit.confirm = (() => {
  // Gradio draws a panel again each time it becomes visible, and calls this then.
  const shown = (element) => {
    const box = element.closest(".lv-ask"), opener = document.activeElement, {key} = opener?.dataset ?? {};
    if (!box) return;
    const around = box.parentElement;
    requestAnimationFrame(() => box.querySelector("button[id$=-no]")?.focus({preventScroll: true}));

    // The opener may have been drawn again meanwhile, or be disabled.
    const back = () => {
      if (document.activeElement && document.activeElement !== document.body) return;
      const place = [opener, key && document.querySelector(`[data-key="${key}"]`)]
        .find((one) => one?.isConnected && one !== document.body && !one.disabled && one.offsetParent);
      (place ?? around.querySelector("[tabindex='-1']"))?.focus({preventScroll: true});
    };
    const observer = new MutationObserver(() => {
      if (box.isConnected) return;
      observer.disconnect();
      requestAnimationFrame(back);
    });
    observer.observe(document.body, {childList: true, subtree: true});
  };

  return {shown};
})();
