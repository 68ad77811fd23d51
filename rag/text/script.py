"""The script that a text is written in."""

from __future__ import annotations

import re

HAN = re.compile(r"[\u3400-\u9fff]")
KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
LATIN_WORD = re.compile(r"[A-Za-z]+")

KANA_FROM = 0.1
"""Share of kana among kana and ideographs from which a text is Japanese: a brand's の in Chinese is less."""


def is_chinese(text: str) -> bool:
    """Tell by the script whether a text is Chinese; foreign names in it do not make it something else."""
    ideographs = len(HAN.findall(text))
    return ideographs > 0 and not KANA_OR_HANGUL.search(text) and ideographs >= len(LATIN_WORD.findall(text))


def is_japanese(text: str) -> bool:
    """Tell by its kana whether a text is Japanese; one in ideographs alone counts as Chinese."""
    kana = len(KANA.findall(text))
    return kana > 0 and kana >= KANA_FROM * (kana + len(HAN.findall(text)))
