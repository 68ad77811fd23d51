"""The page and a route beside it, served by one process as docs/development.md says, have one App."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect

from tests.browser import REPOSITORY, serve
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

SERVED = "app = st.App(__file__, "
"""How app.py ends, where the server imports it."""

ROUTE = """\
from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    routes = [Route("/told", lambda request: PlainTextResponse(told()))]
    app = st.App(__file__, routes=routes, """
"""What it goes on with where it serves a route; the page says the same as the route, after it is drawn."""

TOLD = """\
def told():
    return f"{id(shared_app())} {shared_app().library.collections()}"


if __name__"""


def test_the_page_and_a_route_share_one_app(tmp_path: Path):
    script, page = tmp_path / "served.py", tmp_path / "page"
    text = (REPOSITORY / "app.py").read_text(encoding="utf-8")
    assert SERVED in text
    assert "    main()\nelse:" in text
    text = text.replace("    main()\nelse:", '    main()\n    Path("page").write_text(told())\nelse:')
    script.write_text(text.replace("if __name__", TOLD).replace(SERVED, ROUTE), encoding="utf-8")
    (tmp_path / "ui").symlink_to(REPOSITORY / "ui")
    opened = BackMsg()
    opened.rerun_script.SetInParent()
    with serve(script, tmp_path, {"DATA_DIR": str(tmp_path / "data"), "HF_HUB_OFFLINE": "1"}) as address:
        with connect(f"ws{address.removeprefix('http')}/_stcore/stream") as tab:
            tab.send(opened.SerializeToString())
            wait_until(lambda: page.exists() and page.read_text())
        with urllib.request.urlopen(f"{address}/told") as reply:
            told = reply.read().decode()
        assert told == page.read_text(encoding="utf-8")
    assert "Traceback" not in (tmp_path / "streamlit.log").read_text(encoding="utf-8")
