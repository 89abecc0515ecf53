// Corrections of images behind a result, kept in the browser by run until they are trained on.
loravit.corrections = (() => {
  let trained = null;  // the run whose corrections are being trained on

  // A page that shows no images leaves what was kept.
  const store = (most, run, changes, kept) => {
    if (!changes) return loravit.events.unchanged;
    const others = Object.entries(kept ?? {}).filter(([other]) => other !== run);
    const corrected = JSON.parse(changes);
    const own = Object.keys(corrected).length ? [[run, corrected]] : [];
    return Object.fromEntries([...others, ...own].slice(-most));
  };

  // When the training is queued, the page already watches the new run.
  const begin = (run) => { trained = run; };
  const forget = (kept) => Object.fromEntries(Object.entries(kept ?? {}).filter(([run]) => run !== trained));

  return {store, begin, forget};
})();
