import threading

from rag.rerank.cache import RecentCache, ScoreCache, text_key


def test_a_score_comes_back_for_the_same_question_and_passage_only():
    cache = ScoreCache()
    cache.put_many("fever?", {"Aspirin lowers fever.": 2.5, "": -1.0})
    assert cache.get_many("fever?", ["", "Paris.", "Aspirin lowers fever."]) == [-1.0, None, 2.5]
    assert cache.get_many("pain?", ["Aspirin lowers fever."]) == [None]


def test_what_was_not_used_for_longest_makes_room():
    cache = ScoreCache(most=3)
    cache.put_many("q", {"a": 1.0, "b": 2.0, "c": 3.0})
    cache.get_many("q", ["a"])
    cache.put_many("q", {"d": 4.0})
    assert cache.get_many("q", ["a", "b", "c", "d"]) == [1.0, None, 3.0, 4.0]
    assert len(cache) == 3


def test_more_scores_than_fit_keep_the_last_ones():
    cache = ScoreCache(most=2)
    cache.put_many("q", {str(number): float(number) for number in range(10)})
    assert cache.get_many("q", ["7", "8", "9"]) == [None, 8.0, 9.0]


def test_a_key_is_short_and_no_text_runs_over_into_the_next():
    assert len(text_key("x" * 100_000)) == 16
    lists = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc")]
    assert len({text_key(*texts) for texts in lists}) == len(lists)


def test_texts_that_utf_8_cannot_hold_have_a_key():
    assert text_key("\ud800") != text_key("?")


def test_many_threads_can_use_one_cache():
    cache: RecentCache[bytes, int] = RecentCache(most=50)
    failures: list[Exception] = []

    def work(own: int) -> None:
        try:
            for number in range(500):
                key = text_key(str(own), str(number))
                cache.put_many({key: number})
                assert cache.get_many([key])[0] in (number, None)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(cache) == 50
