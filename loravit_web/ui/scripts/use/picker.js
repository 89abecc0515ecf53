// Keep the task list, the chips and the selection in sync, in the browser alone: a reply of the server
// arrives late and would undo later selections.
loravit.picker = (() => {
  let names = new Map();  // names of the listed tasks, in order
  let shown = [];  // tasks of the chips

  // Return the selection after a list from the server: an opening replaces it. An offer is for a page where
  // nothing was opened yet; an image that is shown again has its own tasks.
  const selectionAfter = ({add, pick, isOffer}, picked, before, isEmpty) => {
    if (pick && (!isOffer || (isEmpty && !picked.length))) return pick;
    if (!picked.length && !add.length) return before;
    return [...picked, ...add.filter((task) => !picked.includes(task))];
  };

  // Return the image that a listing opens, in the form in which the component has it, or null.
  const imageOf = (picture) => picture && {
    ...picture,
    url: new URL(picture.url, document.baseURI).href,
    meta: {_type: "gradio.FileData"},
  };

  // Take a list from the server. Drop a list for another text than that in the search box: the list for this
  // text follows. Selected tasks keep their names. While the list is open, its order stays, except that
  // matches by name come first and selected tasks last.
  const takeListing = (listing, picked, image) => {
    const taken = JSON.parse(listing), {text, choices, add, pick, picture, isOffer} = taken;
    const box = document.querySelector("#use-tasks input"), unchanged = loravit.events.unchanged;
    const before = text ? [] : loravit.reload.tasksBefore();
    const opens = add.length > 0 || pick !== null || picture !== null || before.length > 0;
    if (!opens && (box?.value ?? "") !== text) return [unchanged, unchanged];
    const isEmpty = !image && !loravit.reload.keeps();
    const tasks = selectionAfter(taken, picked, before, isEmpty);
    const found = new Map(tasks.map((task) => [task, names.get(task) ?? task]));
    choices.forEach(([name, task]) => found.set(task, name));
    const isOpen = box && box === document.activeElement;
    const rank = (task) => 2 * (text && found.get(task).endsWith(` · ${text}`)) + tasks.includes(task);
    const candidates = new Set([...(isOpen ? names.keys() : []), ...found.keys()]);
    const order = [...candidates].filter((task) => found.has(task));
    if (text || !isOpen) order.sort((task, other) => rank(task) - rank(other));
    names = new Map(order.map((task) => [task, found.get(task)]));
    const list = {
      __type__: "update",
      choices: order.map((task) => [found.get(task), task]),
      interactive: true,
      // Gradio highlights the first match, which Enter selects, only when this number changes.
      ...(text ? {num_choices_shown: 100 + Math.floor(performance.now()) % 1000} : {}),
      ...(opens ? {value: tasks} : {}),
    };
    return [list, picture && (isEmpty || !isOffer) ? imageOf(picture) : unchanged];
  };

  const tasksOf = (chips) => JSON.parse(chips).map(([, task]) => task);

  // Return the chips: those of the server, then one for each other selected task.
  const showChips = (chips, picked) => {
    const first = tasksOf(chips), others = picked.filter((task) => !first.includes(task));
    const choices = [...JSON.parse(chips), ...others.map((task) => [names.get(task) ?? task, task])];
    shown = choices.map(([, task]) => task);
    return {__type__: "update", choices, value: [...picked], visible: choices.length > 0};
  };

  // Return the selection after a chip was toggled.
  const switchChips = (checked, picked) => {
    const kept = picked.filter((task) => !shown.includes(task) || checked.includes(task));
    return [[...kept, ...checked.filter((task) => !kept.includes(task))]];
  };

  // Store a part of the memory. Events that store different parts may read the memory at the same time.
  const stored = {};
  const store = (part, memory) => [{...memory, ...Object.assign(stored, part)}];
  const remember = (part, memory) => store(JSON.parse(part), memory);
  const keepPlaces = (chips, memory) => store({places: tasksOf(chips)}, memory);

  return {takeListing, showChips, switchChips, remember, keepPlaces};
})();
