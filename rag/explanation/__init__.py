"""Why a reranker put a passage where it is."""
