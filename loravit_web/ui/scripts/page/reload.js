// Keep the image in Use, its tasks and how its answers are shown, so that they are there after a reload.
// The browser keeps them for this browser tab until it is closed. Tasks in the address come first.
loravit.reload = (() => {
  const storageKey = "loravit-asked";
  let before = null, canStore = true;
  try {
    before = JSON.parse(window.sessionStorage.getItem(storageKey));
  } catch {
    canStore = false;  // a browser that stores nothing
  }
  let tasks = before?.tasks ?? [];

  // Nothing is stored before `restore`: a link's tasks are first asked about without an image.
  const store = (question) => {
    if (question.picture) before = null;  // there is a newer image
    if (!before && canStore) window.sessionStorage.setItem(storageKey, JSON.stringify(question));
  };

  // The server deletes images after a while, and when it restarts.
  const restore = async () => {
    const unchanged = loravit.events.unchanged, image = before?.picture;
    const isThere = image && (await fetch(image.url, {method: "HEAD"})).ok;
    if (!before) return [unchanged, unchanged, unchanged];
    const {labels, looks} = before;
    before = null;
    return [isThere ? image : unchanged, labels, looks];
  };

  // Return whether an image is kept that is not restored yet.
  const keeps = () => Boolean(before?.picture);

  // Return the tasks that were selected before the reload, once.
  const tasksBefore = () => {
    const kept = tasks;
    tasks = [];
    return kept;
  };

  return {store, restore, keeps, tasksBefore};
})();
