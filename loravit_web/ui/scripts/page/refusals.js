// Show the message of a refused request, wherever on the page it was sent.
// Gradio shows nothing for an event without a queue that is refused, for example by the rate limit.
(() => {
  const {shownMilliseconds} = loravit.values.refusals;
  const refusals = [403, 408, 413, 429, 503, 507];
  let place = null, timer = 0;

  const show = (message) => {
    if (!place) {
      place = document.createElement("div");
      place.id = "refused";
      place.setAttribute("role", "alert");
      document.body.append(place);
    }
    place.textContent = message;
    place.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(() => { place.hidden = true; }, shownMilliseconds);
  };

  const fetchUnwatched = window.fetch.bind(window);
  window.fetch = async (...request) => {
    const response = await fetchUnwatched(...request);
    if (refusals.includes(response.status)) {
      const body = await response.clone().json().catch(() => null);
      if (typeof body?.detail === "string") show(body.detail);
    }
    return response;
  };
})();
