"""The two pages of the served dashboard: the login, and the terminal. Everything they load is served with them."""

import html
from typing import Final

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # with less, browsers send forms without an Origin
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FOCUS: Final = """// The terminal takes the keys as soon as it is connected, without a click.
new MutationObserver((_changes, observer) => {
  if (document.body?.classList.contains("-loaded")) {
    observer.disconnect();
    document.querySelector(".xterm-helper-textarea")?.focus();
  }
}).observe(document, { attributes: true, subtree: true });
"""
_STYLE: Final = """
@font-face { font-family: "Roboto Mono"; font-weight: 100 700;
             src: url("/static/fonts/RobotoMono-VariableFont_wght.ttf"); }
:root { color-scheme: dark; }
body { margin: 0; background: #101418; color: #d0d4da; font: 16px/1.5 ui-monospace, Menlo, Consolas, monospace; }
main { max-width: 30rem; margin: 15vh auto; padding: 0 1rem; }
h1 { font-size: 1.2rem; letter-spacing: .1em; }
label { display: block; margin: 1rem 0 .3rem; }
input { width: 100%; box-sizing: border-box; padding: .6rem; font: inherit; color: inherit;
        background: #1f2830; border: 1px solid #5fafd7; }
button { margin-top: 1rem; padding: .6rem 1.4rem; font: inherit; background: #5fafd7; color: #101418; border: 0; }
.wrong { color: #f07070; font-weight: bold; }
.mend { color: #8b949e; }
.textual-terminal { position: absolute; inset: 0; }
.ended { display: none; position: fixed; inset: auto 0 0 0; padding: 1rem; background: #1f2830; z-index: 10; }
body.-closed .ended { display: block; }
a { color: #5fafd7; }
"""


def login(wrong: str = "") -> str:
    """Return the page that asks for a key."""
    said = f'<p class="wrong" role="alert">{html.escape(wrong)}</p>' if wrong else ""
    return _page(
        "titan top: login",
        f"""<main><h1>TITAN TOP</h1>{said}
<form method="post" action="/login" autocomplete="off">
<label for="key">Operator's key</label>
<input id="key" name="key" type="password" required maxlength="200" autofocus placeholder="tk_…">
<button>Log in</button></form>
<p class="mend">A key is made on the cell's machine: <code>titan operator create NAME --role viewer</code></p></main>""",
    )


def terminal(font_size: int, socket_url: str) -> str:
    """Return the page with the terminal."""
    return _page(
        "titan top",
        f"""<div id="terminal" class="textual-terminal" data-session-websocket-url="{html.escape(socket_url)}"
 data-font-size="{font_size}"></div>
<div class="ended">The dashboard has ended. <a href="/">Start it again</a>
<form method="post" action="/logout"><button>Log out</button></form></div>""",
        '<link rel="stylesheet" href="/static/css/xterm.css"><script src="/focus.js"></script><script src="/static/js/textual.js"></script>',
    )


def _page(title: str, body: str, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><style>{_STYLE}</style>{head}</head>'
        f"<body>{body}</body></html>"
    )
