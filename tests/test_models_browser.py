"""The Models page: a model got, cancelled, got with a licence, and removed, with a real hub on loopback."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser import REPOSITORY, serve, visit
from tests.models import HubServer

TINY, JINA = "Xenova/ms-marco-TinyBERT-L-2-v2", "jinaai/jina-reranker-v2-base-multilingual"
WORK_MS = 60_000


def test_models_are_got_cancelled_licensed_and_removed(
    chromium: Browser, word_overlap_folder: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "hub"
    (repository / "onnx").mkdir(parents=True)
    for path in word_overlap_folder.iterdir():
        shutil.copy(path, repository / "onnx" / path.name if path.suffix == ".onnx" else repository / path.name)
    with HubServer({TINY: repository, JINA: repository}) as hub:
        hub.hang("onnx/model.onnx", after=64)
        environment = {
            "DATA_DIR": str(tmp_path / "data"),
            "HF_ENDPOINT": hub.endpoint,
            "EMBED_MODEL": "bundled",
            "RERANK_MODEL": "bundled",
        }
        with serve(REPOSITORY / "app.py", tmp_path, environment) as address, visit(chromium, address) as page:
            page.get_by_role("link", name="Models").click()
            tiny = page.locator(".st-key-model-Xenova--ms-marco-TinyBERT-L-2-v2")
            tiny.get_by_role("button", name="Get").click(timeout=WORK_MS)
            expect(tiny.get_by_role("progressbar")).to_be_visible(timeout=WORK_MS)
            # Before the hub has told what there is, nothing of the model is here, and a cancelled one is just absent.
            expect(tiny.get_by_text(re.compile(r"[1-9]\d* kB of \d+ kB$"))).to_be_visible(timeout=WORK_MS)
            tiny.get_by_role("button", name="Cancel").click()
            expect(tiny.get_by_text("Unfinished").first).to_be_visible(timeout=WORK_MS)
            hub.release()
            tiny.get_by_role("button", name="Get the rest").click()
            expect(tiny.get_by_role("button", name="Remove")).to_be_visible(timeout=WORK_MS)
            expect(page.get_by_text(re.compile("1 model downloaded"))).to_be_visible()

            jina = page.locator(".st-key-model-jinaai--jina-reranker-v2-base-multilingual")
            jina.get_by_role("button", name="Get").click()
            expect(page.get_by_text("which forbids commercial use")).to_be_visible()
            expect(page.get_by_role("button", name="Download")).to_be_disabled()
            page.get_by_text("I accept this licence").click()
            page.get_by_role("button", name="Download").click()
            expect(jina.get_by_role("button", name="Remove")).to_be_visible(timeout=WORK_MS)

            tiny.get_by_role("button", name="Remove").click()
            page.get_by_role("button", name="Remove for good").click()
            expect(tiny.get_by_role("button", name="Get")).to_be_visible(timeout=WORK_MS)
            expect(page.get_by_text(re.compile("1 model downloaded"))).to_be_visible()
