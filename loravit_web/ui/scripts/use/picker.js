// Keep the task list, the chips and the selection in sync, in the browser alone: a reply of the server
// arrives late and would undo later selections.
loravit.picker = (() => {
  let names = new Map();  // names of the listed tasks, in order

  // Take a list from the server. Drop a list for another text than that in the search box: the list for this
  // text follows. Selected tasks keep their names. While the list is open, its order stays, except that
  // matches by name come first and selected tasks last.
  const takeListing = (listing, picked) => {
    const {text, choices, add} = JSON.parse(listing);
    const box = document.querySelector("#use-tasks input");
    if (!add.length && (box?.value ?? "") !== text) return loravit.events.unchanged;
    const tasks = [...picked, ...add.filter((task) => !picked.includes(task))];
    const found = new Map(tasks.map((task) => [task, names.get(task) ?? task]));
    choices.forEach(([name, task]) => found.set(task, name));
    const isOpen = box && box === document.activeElement;
    const rank = (task) => 2 * (text && found.get(task).endsWith(` · ${text}`)) + tasks.includes(task);
    const candidates = new Set([...(isOpen ? names.keys() : []), ...found.keys()]);
    const order = [...candidates].filter((task) => found.has(task));
    if (text || !isOpen) order.sort((task, other) => rank(task) - rank(other));
    names = new Map(order.map((task) => [task, found.get(task)]));
    return {
      __type__: "update",
      choices: order.map((task) => [found.get(task), task]),
      interactive: true,
      // Gradio highlights the first match, which Enter selects, only when this number changes.
      ...(text ? {num_choices_shown: 100 + Math.floor(performance.now()) % 1000} : {}),
      ...(add.length ? {value: tasks} : {}),
    };
  };

  const tasksOf = (chips) => JSON.parse(chips).map(([, task]) => task);
  const checkedOf = (chips, picked) => tasksOf(chips).filter((task) => picked.includes(task));

  const takeChips = (chips, picked) => {
    const choices = JSON.parse(chips);
    return {__type__: "update", choices, value: checkedOf(chips, picked), visible: choices.length > 0};
  };
  const checkChips = (picked, chips) => [checkedOf(chips, picked)];

  // Return the selection after a chip was toggled.
  const switchChips = (checked, picked, chips) => {
    const shown = tasksOf(chips);
    const kept = picked.filter((task) => !shown.includes(task) || checked.includes(task));
    return [[...kept, ...checked.filter((task) => !kept.includes(task))]];
  };

  // Store one part of the memory. Other events store the other parts.
  const remember = (part, memory) => [{...memory, ...JSON.parse(part)}];

  return {takeListing, takeChips, checkChips, switchChips, remember};
})();
