// The settings of a training. This runs in the browser, so that no click is faster than its effect.
loravit.settings = (() => {
  // Fill in the name and the mirror setting that new data suggest, unless they were changed by hand.
  const takeSuggestions = (suggestions, name, suggested, mirror, mirrored) => {
    const data = JSON.parse(suggestions);
    const isTyped = !["", suggested].includes((name ?? "").trim());
    return [isTyped ? name : data.name, data.name, mirror === mirrored ? data.mirror : mirror, data.mirror];
  };

  // Fill the fields with a preset's values. Without data there is no cost, and none is estimated.
  const fill = (presets, estimating, preset, cost) => [...presets[preset], cost && estimating];

  return {takeSuggestions, fill};
})();
