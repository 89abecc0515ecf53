"""The picture in Use, and how its answers are shown: there again when the page is loaded anew.

The browser keeps them for the one tab, until that is closed; the tasks are in the address.
"""

from __future__ import annotations

SCRIPT = """
<script>
(() => {
  const name = "loravit-asked";
  let before = null, mayKeep = true;
  try { before = JSON.parse(window.sessionStorage.getItem(name)); }
  catch { mayKeep = false; }  // a browser that keeps nothing
  window.loravitKeep = (asked) => {
    if (asked.picture) before = null;  // there is a newer one
    if (!before && mayKeep) window.sessionStorage.setItem(name, JSON.stringify(asked));
  };
  window.loravitAgain = async () => {
    const same = {__type__: "update"}, picture = before?.picture;
    const there = picture && (await fetch(picture.url, {method: "HEAD"})).ok;
    if (!before) return [same, same, same];
    const {labels, looks} = before;
    before = null;
    return [there ? picture : same, labels, looks];
  };
})();
</script>
"""
"""For the head of the page: `loravitKeep` takes what is asked, `loravitAgain` gives what was asked before.

Nothing is kept before that was asked for: a link's tasks ask without a picture at first. The server deletes
pictures after a while, and when it is started again.
"""

AGAIN = "() => window.loravitAgain()"
"""For an opened page, after the tasks of its link: a question without them takes them out of the address."""
