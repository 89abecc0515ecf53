"""Every use of an undocumented part of Gradio, and every change of its behavior.

A new version of Gradio may change any of these names without notice. So the version is pinned, and tests
check this table: they fail if a name is gone, or if code uses a name that is not in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["protection", "page", "speed"]
"""Purpose: to protect the server and its visitors, to show the page as designed, or to be fast.

``LORAVIT_PLAIN_GRADIO=yes`` switches off the patches for speed.
"""


@dataclass(frozen=True)
class Patch:
    """A use of undocumented parts of Gradio.

    Attributes:
        place: File in ``loravit_web/ui``.
        kind: Purpose.
        gains: Benefit for the app.
        measured: Date and result of the measurement.
        test: Test of the patch, as pytest names it.
        until: Condition under which the patch can be removed.
        names: Dotted names that it uses. Attributes of instances follow the name of their class.
        texts: Other parts of Gradio that it relies on, as files of the package and texts in them.
    """

    place: str
    kind: Kind
    gains: str
    measured: str
    test: str
    until: str
    names: Sequence[str] = ()
    texts: Sequence[tuple[str, str]] = ()


PATCHES: Sequence[Patch] = (
    Patch(
        place="patches/server.py",
        kind="protection",
        names=(
            "gradio.http_server.start_server",
            "gradio.http_server.Server",
            "gradio.http_server.LOCALHOST_NAME",
            "gradio.http_server.INITIAL_PORT_VALUE",
            "gradio.http_server.TRY_NUM_PORTS",
            "gradio.routes.App.startup_events_triggered",
            "gradio.blocks.Blocks.app",
            "gradio.blocks.Blocks.root_path",
        ),
        texts=(("blocks.py", "if _frontend and not networking.url_ok(self.local_url)"),),
        gains="Every request passes the gate, the server limits its connections, and the app also starts on "
        "a busy machine.",
        measured="2026-11-30: without it, JSON sent before signing in killed an app with 4 GB of memory, and "
        "on two busy cores some starts failed, because the page took more than 3 s.",
        test="tests/ui/gate/test_connections.py::"
        "test_connections_beyond_those_that_there_is_room_for_are_closed_at_once",
        until="Gradio accepts a wrapper for its app and options for uvicorn.",
    ),
    Patch(
        place="patches/receiving.py",
        kind="protection",
        names=(
            "gradio.route_utils.upload_fn",
            "gradio.routes.file_upload_statuses",
            "gradio.route_utils.FileUploadProgress._signals",
        ),
        gains="Uploads are counted per visitor while they arrive, and leave no files if they break off.",
        measured="2026-11-30: without it, uploads that broke off stayed on disk forever.",
        test="tests/ui/gate/test_real_app.py::test_an_upload_that_breaks_off_over_the_network_leaves_nothing",
        until="Gradio limits the uploads of a visitor and removes those that broke off.",
    ),
    Patch(
        place="patches/refusals.py",
        kind="protection",
        names=("gradio.route_utils.FnIndexInferError",),
        texts=(("queueing.py", "Queue is full"),),
        gains="A call of an event that does not exist gets a message, and no stack trace is logged.",
        measured="2026-11-24: without it, each such call answered 500 and logged a stack trace.",
        test="tests/ui/test_launch.py::test_an_event_that_there_is_not_is_no_failure_of_the_server",
        until="Gradio answers 404 for an event that does not exist.",
    ),
    Patch(
        place="patches/hub.py",
        kind="protection",
        texts=(("oauth.py", '"oauth_info"'),),
        gains="The app knows who signed in through the Hub, and an ended session stays ended.",
        measured="2026-11-30: without it, a copy of the cookie worked until the Hub's token expired.",
        test="tests/ui/patches/test_hub.py::test_a_session_that_was_ended_cannot_be_used_again",
        until="Gradio passes the user to every handler and ends sessions on the server.",
    ),
    Patch(
        place="scripts/page/arrival.js",
        kind="page",
        texts=(("templates/frontend/index.html", "window.gradio_config"),),
        gains="The tab that a link names is drawn and filled first.",
        measured="2026-11-27: a page is ready after 0.94 to 1.28 s, for every kind of link.",
        test="tests/browser/test_opening.py::test_what_a_link_asks_for_is_filled_first",
        until="Gradio lets a link select the tab, and fills hidden tabs last.",
    ),
    Patch(
        place="scripts/patches/language.js",
        kind="page",
        texts=(("templates/frontend/index.html", "__gradio_mode__"),),
        gains="Gradio's own words have the language of the page, whatever the language of the browser.",
        measured="2026-11-29: in a German browser, the page was half German.",
        test="tests/browser/test_journey.py::test_a_sample_empties_the_box_of_the_zip_before_it",
        until="Gradio lets an app choose the language of its own words.",
    ),
    Patch(
        place="scripts/patches/names.js",
        kind="page",
        texts=(
            ("templates/frontend/assets/Index-Akn07EZk2.js", 'aria-label="Gradio footer navigation"'),
            ("templates/frontend/assets/Index-DAx5Uzyn2.js", 'aria-label="More tabs"'),
            ("templates/frontend/assets/Index-C71TU_Uc.js", "label:`Remove Image`"),
            ("templates/frontend/assets/src-1GSBhSW9.js", "label:`Fullscreen`"),
            ("templates/frontend/assets/src-1GSBhSW9.js", "label:`Exit fullscreen mode`"),
            ("templates/frontend/assets/src-COXhnU3J.js", "`Click to upload or drop files`"),
        ),
        gains="Screen readers name all of the page in one language.",
        measured="2026-12-01: a German page had five English names of buttons and regions.",
        test="tests/browser/test_language.py::"
        "test_a_link_shows_the_same_tab_in_german_and_links_keep_the_language",
        until="Gradio translates the names of its buttons.",
    ),
    Patch(
        place="patches/page_texts.py",
        kind="page",
        texts=(("templates/frontend/index.html", "window.gradio_config = {{ config | toorjson }}"),),
        gains="The page is served in the language of the visitor.",
        measured="2026-11-30: Gradio translates labels, but neither HTML nor what an event returns.",
        test="tests/ui/language/test_page.py::test_the_page_is_in_the_language_that_its_address_names",
        until="Gradio can describe a page in several languages.",
    ),
    Patch(
        place="scripts/kit/events.js",
        kind="page",
        texts=(("helpers.py", '{"__type__": "update"}'),),
        gains="An event that runs only in the browser can leave a component unchanged.",
        measured="2026-11-24: such an event needs no request to the server.",
        test="tests/browser/test_use.py::test_what_the_keyboard_picks_and_lets_go_is_answered_at_once",
        until="Gradio documents what a script returns for an unchanged component.",
    ),
    Patch(
        place="scripts/use/ask.js",
        kind="page",
        texts=(("routes.py", '"/run/{api_name}"'),),
        gains="An image is classified in one request to the server instead of two.",
        measured="2026-11-27: 0.89 of the engine's own throughput for 32 clients, 0.84 with the queue.",
        test="tests/ui/test_api.py::test_one_request_is_answered_or_refused_in_one_sentence",
        until="Gradio documents calls in one request.",
    ),
    Patch(
        place="patches/routes_once.py",
        kind="speed",
        names=("gradio.blocks.App",),
        texts=(("blocks.py", "self.app = App.create_app(self, mcp_server=False)"),),
        gains="A page is built without the servers that Gradio makes for it and never uses.",
        measured="2026-12-01: the app is ready after 0.95 of the time.",
        test="tests/ui/patches/test_routes_once.py::test_a_page_is_built_without_a_server",
        until="Gradio makes its server when the page is launched.",
    ),
    Patch(
        place="patches/gradio_import.py",
        kind="speed",
        names=("gradio.component_meta.create_or_modify_pyi",),
        gains="Gradio is imported without computing type stubs for editors.",
        measured="2026-11-26: the app starts in 0.75 of the time.",
        test="tests/ui/patches/test_gradio_import.py::"
        "test_its_components_and_their_events_are_all_there_without_stubs",
        until="Gradio no longer compares its stubs at every import.",
    ),
    Patch(
        place="patches/sessions.py",
        kind="speed",
        names=(
            "gradio.state_holder.StateHolder",
            "gradio.state_holder.StateHolder.set_blocks",
            "gradio.state_holder.StateHolder.session_data",
            "gradio.state_holder.StateHolder.time_last_used",
            "gradio.state_holder.StateHolder.lock",
            "gradio.state_holder.SessionState",
            "gradio.state_holder.SessionState.blocks_config",
            "gradio.state_holder.SessionState.state_data",
            "gradio.blocks.BlocksConfig.config_for_block",
            "gradio.blocks.Blocks.default_config",
            "gradio.blocks.Blocks.app",
            "gradio.routes.App.state_holder",
        ),
        gains="A session keeps no description of the page, and is removed if it has no state.",
        measured="2026-11-26: saves 44 ms and 0.7 MB per session, and half of the time of later answers.",
        test="tests/ui/patches/test_sessions.py::"
        "test_calls_without_a_session_of_their_own_keep_no_copies_of_the_page",
        until="Gradio describes components for deep links only if an app offers them.",
    ),
    Patch(
        place="patches/quiet.py",
        kind="speed",
        names=(
            "gradio.blocks.Blocks.fns",
            "gradio.block_function.BlockFunction.show_progress",
            "gradio.block_function.BlockFunction.show_progress_on",
        ),
        gains="The browser does not search for the places of hidden progress.",
        measured="2026-11-24: saves half of the time of an event.",
        test="tests/ui/test_app.py::test_no_event_shows_its_progress_in_more_than_one_place",
        until="Gradio looks up no place for show_progress='hidden'.",
    ),
    Patch(
        place="patches/quiet.py",
        kind="speed",
        names=(
            "gradio.blocks.Blocks._queue",
            "gradio.queueing.Queue.sleep_when_free",
            "gradio.queueing.Queue.ANALYTICS_MAX_EVENTS",
            "gradio.queueing.Queue.ANAYLTICS_CACHE_FREQUENCY",
        ),
        gains="An idle app uses little CPU time, and events compute no statistics.",
        measured="2026-11-27: 4 % of a core instead of 10 %; an event takes 2.4 to 12 ms less.",
        test="tests/ui/test_launch.py::test_an_empty_queue_is_looked_at_a_hundred_times_a_second_at_most",
        until="Gradio's queue waits for events instead of polling, and its statistics are optional.",
    ),
    Patch(
        place="patches/assets.py",
        kind="speed",
        texts=(("templates/frontend/index.html", "./assets/"),),
        gains="Gradio's scripts and styles are compressed once, and the browser caches them forever.",
        measured="2026-11-24: the 130 files of a page take the server 120 ms instead of 460 to 580 ms. "
        "2026-11-30: compressed more strongly when asked for again, they have 230 instead of 251 kB.",
        test="tests/ui/patches/test_assets.py::test_a_script_is_compressed_and_never_asked_for_again",
        until="Gradio sends its scripts compressed, with a header that lets browsers cache them.",
    ),
    Patch(
        place="patches/script_searches.py",
        kind="speed",
        gains="Two searches through all components are left out while the page opens.",
        measured="2026-12-01: the browser computes for 0.31 instead of 0.40 s until the tab Train appears.",
        test="tests/ui/patches/test_script_searches.py::"
        "test_gradio_has_each_search_once_and_it_is_served_without",
        until="Gradio opens a page of 500 components without them.",
    ),
    Patch(
        place="scripts/patches/styles.js",
        kind="speed",
        texts=(("templates/frontend/index.html", "./assets/"),),
        gains="The styles of components that appear together are loaded in one request.",
        measured="2026-11-26: three dozen requests took a tenth of the time to open the page.",
        test="tests/ui/patches/test_assets.py::test_styles_can_be_asked_for_together",
        until="Gradio sends its styles in one file.",
    ),
    Patch(
        place="patches/kept_page.py",
        kind="speed",
        texts=(
            ("route_utils.py", '"x-forwarded-host"'),
            ("route_utils.py", '"x-gradio-server"'),
            ("routes.py", "deep_link"),
            ("routes.py", "all_endpoints"),
            ("templates/frontend/index.html", 'property="og:title" content="Gradio" />'),
            ("templates/frontend/index.html", 'meta\n\t\t\tname="viewport"'),
            (
                "templates/frontend/index.html",
                "script.async = true;\n\t\t\t\tdocument.head.appendChild(script);",
            ),
        ),
        gains="The page is rendered and compressed once for all visitors with the same address, its link "
        "previews are the app's, and it loads Gradio's script for frames in frames only.",
        measured="2026-11-26: saves 63 ms and 470 kB per visitor; 2026-11-30: 15 kB more.",
        test="tests/ui/patches/test_kept_page.py::test_the_apps_page_is_compressed",
        until="Gradio caches the description of a page that does not change, and lets an app set previews.",
    ),
    Patch(
        place="scripts/patches/unwatched.js",
        kind="speed",
        texts=(("templates/frontend/index.html", "window.gradio_config"),),
        gains="Svelte does not watch the description of the page, which never changes.",
        measured="2026-11-25: saves a fifth of the browser's CPU time to open the page.",
        test="tests/browser/test_use.py::test_the_description_of_the_page_is_not_watched_for_changes",
        until="Gradio reads the description outside of Svelte's proxies.",
    ),
)
