"""Parts of a page that are drawn again on their own: what fails in one is said in its place."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def draw_two_parts() -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    import streamlit as st

    from rag.errors import UnavailableError
    from ui.fragment import fragment

    def broken(name: str) -> None:
        st.text("before")
        raise UnavailableError(f"The folder {name} cannot be read: look at its rights.")

    fragment(broken)("*data*")
    st.text("after")


def test_what_fails_in_a_part_is_said_there_and_the_rest_stays() -> None:
    page = AppTest.from_function(draw_two_parts).run()
    assert not page.exception
    assert [text.value for text in page.text] == ["before", "after"]
    said = page.error[0].value
    assert "\\*data\\*" in said
    assert said.replace("\\", "").replace("\u200b", "") == "The folder *data* cannot be read: look at its rights."
