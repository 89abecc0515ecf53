// The data of a training, kept in the browser until it is trained on.
loravit.data = (() => {
  let trained = null;  // the data of the last training that was started here
  let isReading = false;

  // A reload waits for no server, so this runs in the browser. A page without data leaves what was kept.
  const store = (taken, name, mirror, changes) => {
    if (!taken) return loravit.events.unchanged;
    const [data] = taken.split(" "), corrected = JSON.parse(changes || "{}");
    const isTrained = taken === trained && !Object.keys(corrected).length;
    return data && !isTrained ? {data, name, mirror, changes: corrected} : {};
  };

  // Gradio reports a change of everything in a tab whenever the tab opens, so remember what was trained on.
  const forget = (taken, problem) => {
    if (problem) return loravit.events.unchanged;  // the training was not started
    trained = taken;
    return {};
  };

  // New data is being read.
  const disable = () => {
    loravit.steps.settle();
    isReading = true;
    return {__type__: "update", interactive: false};
  };
  const arrive = () => { isReading = false; };

  // Start is enabled if there is data, and no training that is the same.
  const allow = (lock, taken) => {
    const isEnabled = !isReading && !lock && Boolean((taken ?? "").split(" ")[0]);
    return {__type__: "update", interactive: isEnabled};
  };
  const show = (count) => Array(count).fill({__type__: "update", visible: true});

  return {store, forget, disable, arrive, allow, show};
})();
