// The sources of the image: the live camera, a file, the clipboard.
// Live, one frame at a time is classified: the next is taken when the answer is there, so nothing queues.
loravit.camera = (() => {
  const {frameSide, frameQuality, milliseconds, pauseMilliseconds, photoSide, messages} = loravit.values.camera;
  let stream = null, facing = "environment", current = null, pending = null, lastAsked = 0, timer = 0;
  let element = null, trigger = null, upload = null, taken = null;

  const part = (name) => element.querySelector(`[data-part=${name}]`);
  const isVisible = () => !document.hidden && element.offsetParent !== null;
  const tell = (message) => { part("note").textContent = message; };

  // Draw the current frame of the video, with this length of its longer side.
  const drawn = (side) => {
    const video = part("video"), scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    return canvas;
  };

  const step = () => {
    if (!stream || pending) return;
    if (!isVisible() || !part("video").videoWidth) return schedule(pauseMilliseconds);
    current = pending = drawn(frameSide).toDataURL("image/jpeg", frameQuality);
    lastAsked = performance.now();
    trigger("input", {});
  };
  const schedule = (wait) => {
    clearTimeout(timer);
    timer = setTimeout(step, wait);
  };

  // Return the frame to classify while the camera is live, or null.
  const frame = () => stream && current;

  // Take the next frame, once this one is answered.
  const next = (answered, isAnswer) => {
    if (answered !== pending) return;
    pending = null;
    const wait = isAnswer ? lastAsked + milliseconds - performance.now() : pauseMilliseconds;
    schedule(Math.max(0, wait));
  };

  const show = (isLive) => {
    element.classList.toggle("lv-live", isLive);
    part("stage").hidden = !isLive;
    part("sources").hidden = isLive;
  };

  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = current = pending = null;
    clearTimeout(timer);
    show(false);
  };

  const start = async () => {
    tell("");
    if (!navigator.mediaDevices?.getUserMedia) return tell(messages.insecure);
    stop();
    try {
      stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: facing, width: {ideal: 640}}});
    } catch (error) {
      const known = {NotAllowedError: messages.blocked, NotFoundError: messages.missing};
      return tell(known[error.name] ?? messages.busy);
    }
    show(true);
    part("video").srcObject = stream;
    await part("video").play();
    part("freeze").focus({preventScroll: true});
    step();
  };

  const turn = () => {
    facing = facing === "environment" ? "user" : "environment";
    return start();
  };

  // Make a file the image to classify.
  const take = async (blob, name) => {
    const {path, url} = await upload(new File([blob], name, {type: blob.type}));
    taken = {path, url, orig_name: name, mime_type: blob.type, meta: {_type: "gradio.FileData"}};
    trigger("select", {});
  };

  // Keep the current frame as the image, in more detail than while live.
  const freeze = () => {
    drawn(photoSide).toBlob((blob) => {
      stop();
      take(blob, "camera.jpg");
      part("live").focus({preventScroll: true});
    }, "image/jpeg", 0.9);
  };

  const paste = async () => {
    tell("");
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((name) => name.startsWith("image/"));
        if (type) return await take(await item.getType(type), `clipboard.${type.slice(6)}`);
      }
      tell(messages.noClipboardImage);
    } catch {
      tell(messages.noClipboard);
    }
  };

  const browse = () => document.querySelector("#use-image input[type=file]")?.click();
  const actions = {live: start, upload: browse, paste, freeze, turn, stop};

  const listen = (ownElement, ownTrigger, ownUpload) => {
    [element, trigger, upload] = [ownElement, ownTrigger, ownUpload];
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-part]");
      if (button) actions[button.dataset.part]();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== " " || !stream || !isVisible() || event.target.closest("button, input, textarea, a")) return;
      event.preventDefault();
      freeze();
    });
  };

  // Return the image that was taken or pasted last, for the component of the image.
  const takenImage = () => taken;

  // A new image, from wherever, ends the live answers.
  const end = () => { if (stream) stop(); };

  return {listen, frame, next, takenImage, end};
})();
