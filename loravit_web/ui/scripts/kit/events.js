// Results that functions of Gradio events share.
loravit.events = (() => {
  // What an event returns to leave a component as it is.
  const unchanged = Object.freeze({__type__: "update"});
  const first = (value) => value;

  return {unchanged, first};
})();
