// Open a link's tab first, and fill it first. Runs after Gradio's description of the page.
// Each answer takes time to draw. Unchanged, the description takes all steps one after the other.
loravit.arrival = (() => {
  const {tabs, linked, prefix} = loravit.values.arrival;
  const link = new URLSearchParams(window.location.search);
  const tab = link.get("tab");
  const firstSteps = Object.hasOwn(tabs, tab) ? tabs[tab] : [];

  const {components, dependencies} = window.gradio_config ?? {};
  const bar = components?.find((component) => component.props.elem_id === "tabs");
  if (bar && firstSteps.length) bar.props.selected = tab;

  const nameOf = (event) => event.api_name.slice(prefix.length);
  const steps = dependencies?.filter((event) => String(event.api_name).startsWith(prefix)) ?? [];
  const place = (event) => {
    const index = firstSteps.indexOf(nameOf(event));
    return index < 0 ? steps.length : index;
  };
  const isWanted = (event) => {
    const parameter = linked[nameOf(event)];
    return !parameter || link.has(parameter);
  };
  const load = steps[0]?.targets;
  for (const event of steps) {
    event.targets = [];
    event.trigger_after = null;
  }
  const wanted = steps.filter(isWanted).sort((event, other) => place(event) - place(other));
  wanted.forEach((event, index) => {
    if (index) event.trigger_after = wanted[index - 1].id;
    else event.targets = load;
  });

  // Change a text, if there are words, so that everything that depends on it is requested again.
  const searchAgain = (words, last) => words ? `${last ?? words} ` : loravit.events.unchanged;

  return {searchAgain};
})();
