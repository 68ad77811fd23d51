"""The table of models: what it holds, how names are found in it, and that the document about it says the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rag.embed.services import SERVICES
from rag.models.catalogue import CATALOGUE, allows_commercial_use, did_you_mean, find, nearest_names
from rag.models.files import BUNDLED_NAME, DEFAULTS
from rag.models.inventory import readable_size
from rag.models.names import HUB_NAME

DOCS = Path(__file__).parents[1] / "docs"

each_record = pytest.mark.parametrize("record", CATALOGUE, ids=lambda record: record.name)


def test_names_are_unique_also_without_their_organisation():
    short = [record.name.lower().rpartition("/")[2] for record in CATALOGUE]
    assert len(set(short)) == len(short)


@each_record
def test_a_record_is_found_by_its_name_in_any_case_and_without_its_organisation(record):
    assert find(record.name) is record
    assert find(record.name.upper()) is record
    assert find(record.name.rpartition("/")[2]) is record


@each_record
def test_names_and_repositories_are_those_of_a_hub(record):
    assert HUB_NAME.fullmatch(record.name)
    assert HUB_NAME.fullmatch(record.repository)


@each_record
def test_fastembed_has_the_same_files_where_it_knows_a_model(record):
    from fastembed import LateInteractionTextEmbedding, TextEmbedding
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    lists = {
        "cross-encoder": TextCrossEncoder,
        "late interaction": LateInteractionTextEmbedding,
        "embedder": TextEmbedding,
    }
    known = {one["model"]: one for one in lists[record.kind].list_supported_models()}
    one = known.get(record.name)
    if one is None:
        assert record.name in {
            "BAAI/bge-reranker-large",
            "Xenova/ms-marco-TinyBERT-L-2-v2",
            "maidalun1020/bce-reranker-base_v1",
            "BAAI/bge-base-zh-v1.5",
            "BAAI/bge-large-zh-v1.5",
            "BAAI/bge-m3",
            "intfloat/multilingual-e5-small",
            "intfloat/multilingual-e5-base",
            "shibing624/text2vec-base-chinese",
            "Alibaba-NLP/gte-multilingual-base",
        }
        return
    assert (one["sources"]["hf"], one["model_file"], tuple(one["additional_files"])) == (
        record.repository,
        record.model_file,
        record.additional_files,
    )
    assert one["license"] == record.licence


def test_the_defaults_are_in_the_table_and_free_to_use():
    defaults = [find(name) for name in DEFAULTS.values()]
    assert all(record is not None and record.commercial for record in defaults)


def test_the_bundled_model_is_no_record():
    assert find(BUNDLED_NAME) is None


def test_the_memory_of_a_model_is_its_weights_and_what_is_packed_of_them():
    base = find("BAAI/bge-reranker-base")
    assert base.memory_mb == 1730  # 1.4 x 1130 MB + 150 MB, to tens


@pytest.mark.parametrize(
    ("licence", "commercial"),
    [
        ("mit", True),
        ("apache-2.0", True),
        ("", True),
        ("cc-by-4.0", True),
        ("cc-by-nc-4.0", False),
        ("CC-BY-NC-SA-4.0", False),
        ("cc_by_nc_4.0", False),
        ("llama-non-commercial", False),
    ],
)
def test_a_licence_tells_whether_it_allows_commercial_use(licence, commercial):
    assert allows_commercial_use(licence) is commercial


def test_the_nearest_names_come_with_the_most_alike_first():
    assert nearest_names("BAAI/bge-rerank-base")[0] == "BAAI/bge-reranker-base"
    assert nearest_names("bge-reranker-v2-m3-int-8")[0] == "BAAI/bge-reranker-v2-m3-int8"
    assert nearest_names("nothing") == []


def test_near_names_are_offered_as_a_question_and_only_if_there_are_any():
    assert list(map(str, did_you_mean("m3", ["a/m3", "b/m2"]))) == ["Did you mean a/m3 or b/m2?"]
    assert list(map(str, did_you_mean("m3", ["a/m3"]))) == ["Did you mean a/m3?"]
    assert did_you_mean("nothing", ["a/m3"]) == ()


def test_the_table_costs_no_library():
    heavy = "{'fastembed', 'numpy', 'huggingface_hub'}"
    code = f"import sys, rag.models.catalogue; print(*sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def rows(heading: str, document: str = "rerankers.md") -> list[list[str]]:
    """Return the cells of the table under a heading of a document, without its first two rows."""
    section = (DOCS / document).read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines[2:]]


def test_the_document_has_each_record_as_it_is():
    documented = {row[0].strip("`"): row[1:6] for row in rows("Models that run here")}
    assert documented == {
        record.name: [
            record.kind,
            readable_size(record.size),
            str(record.languages),
            record.licence if record.commercial else f"{record.licence} (non-commercial)",
            str(record.max_tokens),
        ]
        for record in CATALOGUE
        if record.kind != "embedder"
    }


def cell(text: str) -> str:
    return f"`{text}`" if text else "none"


def test_the_document_has_each_embedder_as_it_is():
    documented = {row[0].strip("`"): row[1:] for row in rows("Models that run here", "embedders.md")}
    assert documented == {
        record.name: [
            readable_size(record.size),
            str(record.languages),
            record.licence,
            str(record.max_tokens),
            cell(record.usage.question),
            cell(record.usage.passage),
        ]
        for record in CATALOGUE
        if record.kind == "embedder"
    }


def test_the_document_has_each_embedding_service_as_it_is():
    assert rows("Services", "embedders.md") == [
        [
            f"`{service.name}:{service.example}`",
            "known" if service.address else "yours",
            f"`{service.path}`",
            f"{service.most:,}",
            f"{service.most_tokens:,}" if service.most_tokens else "not named",
            f"{service.max_tokens:,}",
            cell(service.dimensions),
            "by the service" if service.question else "the model's own",
        ]
        for service in SERVICES.values()
    ]
