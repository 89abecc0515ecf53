"""A request of the page that the gate refused is told in its sentence, wherever in the page it was made.

Gradio shows nothing for an event without a queue that is refused, as where a visitor sends too many.
"""

from __future__ import annotations

SHOWN_MILLISECONDS = 8000
SCRIPT = f"""
<script>
(() => {{
  const statuses = [403, 408, 413, 429, 503, 507];
  let place = null, hide = 0;
  const show = (sentence) => {{
    if (!place) {{
      place = document.createElement("div");
      place.id = "refused";
      place.setAttribute("role", "alert");
      document.body.append(place);
    }}
    place.textContent = sentence;
    place.hidden = false;
    clearTimeout(hide);
    hide = setTimeout(() => {{ place.hidden = true; }}, {SHOWN_MILLISECONDS});
  }};
  const ask = window.fetch.bind(window);
  window.fetch = async (...request) => {{
    const answer = await ask(...request);
    if (statuses.includes(answer.status)) {{
      const told = await answer.clone().json().catch(() => null);
      if (typeof told?.detail === "string") show(told.detail);
    }}
    return answer;
  }};
}})();
</script>
"""
"""For the head of the page, before whatever else asks."""
