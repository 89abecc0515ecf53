// Classify the image and show the answers: one request at a time, and of those that wait only the last.
loravit.ask = (() => {
  const {route, fewLabels, mostLabels, restMilliseconds, notice, place, messages} = loravit.values.ask;
  // Without a session, Gradio would describe the whole page for a session that it then forgets.
  const sessionHash = Math.random().toString(36).slice(2);
  let last = 0, previous = Promise.resolve(), answered = null, sent = null;

  const escaped = (text) => {
    const element = document.createElement("p");
    element.textContent = typeof text === "string" ? text : "";
    return element.innerHTML;
  };

  // Return the HTML that a route answers with, or the notice of what went wrong.
  const run = async (name, text) => {
    const failed = (message) => ({html: notice.replace(place, () => message), isAnswer: false});
    try {
      const response = await fetch(`gradio_api/run/${name}${window.location.search}`, {
        method: "POST",
        headers: {"Content-Type": "application/json"},
        body: JSON.stringify({data: [text], session_hash: sessionHash}),
      });
      if (response.status === 401) return failed(messages.signedOut);
      if (!response.ok) {
        const body = await response.json().catch(() => ({}));
        return failed(escaped(body.detail) || messages.failed);
      }
      const [html] = (await response.json()).data;
      return {html, isAnswer: true};
    } catch {
      return failed(messages.unreached);
    }
  };

  const send = async (question) => {
    const {html, isAnswer} = await run(route, question);
    if (isAnswer) answered = question;
    else sent = null;  // the same question may be sent again
    return html;
  };

  const sendInTurn = async (question) => {
    // an image that opens with its tasks changes both, and is asked about once
    if (question === sent) return loravit.events.unchanged;
    sent = question;
    const number = ++last, answers = document.querySelector("#use-answers");
    if (answers) answers.dataset.busy = messages.busy;
    answers?.setAttribute("aria-busy", "true");
    await previous;
    if (number !== last) return loravit.events.unchanged;
    previous = send(question);
    const html = await previous;
    if (number !== last) return loravit.events.unchanged;
    answers?.removeAttribute("aria-busy");
    return html;
  };

  // Return the HTML of the answers for the current image, or frame of the camera, and selection.
  const answer = async (image, tasks, labels, looks, chips) => {
    labels = Math.round(Math.min(mostLabels, Math.max(1, labels ?? fewLabels)));  // its number field accepts any number
    loravit.address.set("task", tasks.join(","));
    loravit.reload.store({picture: image, tasks, labels, looks});
    const near = JSON.parse(chips).map(([, task]) => task).filter((task) => !tasks.includes(task));
    const frame = loravit.camera.frame();
    const question = frame
      ? {picture: {frame}, tasks, labels, looks: false, near: []}
      : {picture: image && {path: image.path}, tasks, labels, looks, near};
    const html = await sendInTurn(JSON.stringify(question));
    if (frame) loravit.camera.next(frame, sent !== null);
    return html;
  };

  // Return the last answered request, once no other was sent for a while.
  const lastAnswered = async () => {
    const number = last;
    await new Promise((resolve) => setTimeout(resolve, restMilliseconds));
    return number === last && answered ? answered : loravit.events.unchanged;
  };

  return {answer, lastAnswered, run};
})();
