"""Gradio's scripts, without two searches that take the square of the number of components.

While a page opens, Gradio looks for the events of each component among those of all components, twice. Then
it looks for the component of each event among all, for values that most events do not have. The scripts are
changed as they are served. What they do stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping

_ATTACHED = (
    b"find_attached_events(e,t){let n=t.filter(t=>t.targets.find(([t])=>t===e.id)).map("
    b"t=>{let n=t.targets.find(([t])=>t===e.id);return n?n[1]:null}).filter(Boolean);"
    b"return e.props.shared_props.attached_events=n,e}"
)
_ATTACHED_BY_COMPONENT = (
    b"find_attached_events(e,t){if(this.lv_events_of!==t){this.lv_events_of=t;this.lv_events=new Map;"
    b"for(let n of t){let t=new Map;for(let[e,r]of n.targets)t.has(e)||t.set(e,r);"
    b"for(let[e,n]of t){let t=this.lv_events.get(e)??[];n&&t.push(n);this.lv_events.set(e,t)}}}"
    b"return e.props.shared_props.attached_events=[...this.lv_events.get(e.id)??[]],e}"
)
_ARGUMENTS = b"async set_event_args(e,t){let n={},"
_ARGUMENTS_IF_ANY = b"async set_event_args(e,t){if(Object.keys(t).length===0)return()=>{};let n={},"
REPLACED: Mapping[bytes, bytes] = {_ATTACHED: _ATTACHED_BY_COMPONENT, _ARGUMENTS: _ARGUMENTS_IF_ANY}
"""What Gradio's scripts contain, and what takes its place."""


def without_searches(script: bytes) -> bytes:
    """Return a script of Gradio in which the searches are replaced. Other scripts stay as they are."""
    for searched, found in REPLACED.items():
        script = script.replace(searched, found)
    return script
