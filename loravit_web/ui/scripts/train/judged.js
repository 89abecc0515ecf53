// The images of a result with their answers: a click opens one in Use.
loravit.judged = (() => {
  const listen = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-image]");
      if (button) trigger("select", {index: 0, value: button.dataset.image});
    });
  };

  return {listen};
})();
