"""The script that a text is written in."""

from __future__ import annotations

import re

HAN = re.compile(r"[\u3400-\u9fff]")
KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
LATIN_WORD = re.compile(r"[A-Za-z]+")


def is_chinese(text: str) -> bool:
    """Tell by the script whether a text is Chinese; foreign names in it do not make it something else."""
    ideographs = len(HAN.findall(text))
    return ideographs > 0 and not KANA_OR_HANGUL.search(text) and ideographs >= len(LATIN_WORD.findall(text))
