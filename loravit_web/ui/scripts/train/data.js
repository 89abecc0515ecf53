// The data of a training, kept in the browser until it is trained on.
loravit.data = (() => {
  let trained = null;  // the data of the last training that was started here

  // A reload waits for no server, so this runs in the browser. A page without data leaves what was kept.
  const store = (taken, name, mirror, changes) => {
    if (!taken) return loravit.events.unchanged;
    const [data] = taken.split(" "), corrected = JSON.parse(changes || "{}");
    const isTrained = taken === trained && !Object.keys(corrected).length;
    return data && !isTrained ? {data, name, mirror, changes: corrected} : {};
  };

  // Gradio reports a change of everything in a tab whenever the tab opens, so remember what was trained on.
  const forget = (taken) => {
    trained = taken;
    return {};
  };

  const disable = () => ({__type__: "update", interactive: false});
  const show = (count) => Array(count).fill({__type__: "update", visible: true});

  return {store, forget, disable, show};
})();
