"""The tables of each database, with some rows, as the first commits of release 0.1.0 made them."""

from __future__ import annotations

AT = "2026-01-01T00:00:00+00:00"
LISTS = f"""
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    collection TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY,
    conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    question TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    retrieval TEXT,
    answer TEXT,
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX turns_by_conversation ON turns(conversation_id);
INSERT INTO conversations VALUES (1, 'one', 'notes', '{AT}'), (2, 'two', 'notes', '{AT}');
INSERT INTO turns (id, conversation_id, question, asked_at, error) VALUES
    (1, 1, 'a', '{AT}', ''), (2, 2, 'x', '{AT}', ''), (3, 1, 'b', '{AT}', 'It failed.'), (4, 2, 'y', '{AT}', ''),
    (5, 1, 'c', '{AT}', '');
UPDATE turns SET answer =
    '{{"text": "Because.", "mode": "llm", "model": "m", "citations": [], "timings": [], "warnings": []}}' WHERE id = 5;
"""
TREES = f"""
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    collection TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head_id INTEGER
);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY,
    conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    question TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    retrieval TEXT,
    answer TEXT,
    error TEXT NOT NULL DEFAULT '',
    parent_id INTEGER,
    options TEXT
);
CREATE INDEX turns_by_conversation ON turns(conversation_id);
CREATE TABLE ratings (
    turn_id INTEGER NOT NULL REFERENCES turns(id) ON DELETE CASCADE,
    chunk_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (turn_id, chunk_id)
);
INSERT INTO conversations VALUES (1, 'one', 'notes', '{AT}', 3);
INSERT INTO turns (id, conversation_id, question, asked_at, parent_id, options) VALUES
    (1, 1, 'a', '{AT}', NULL, NULL),
    (2, 1, 'b', '{AT}', 1, NULL),
    (3, 1, 'b again', '{AT}', 1,
        '{{"collection": "notes", "reranker": "none", "candidates": 12, "top": 3, "document_ids": ["d"]}}');
INSERT INTO ratings VALUES (3, '', 'up', 'Right.', '{AT}'), (2, 'c', 'down', '', '{AT}');
"""
PAIRS = f"""
CREATE TABLE pairs (
    id INTEGER PRIMARY KEY,
    reading TEXT NOT NULL,
    question TEXT NOT NULL,
    collection TEXT NOT NULL,
    left_reranker TEXT NOT NULL,
    right_reranker TEXT NOT NULL,
    left_retrieval TEXT NOT NULL,
    right_retrieval TEXT NOT NULL,
    left_answer TEXT,
    right_answer TEXT,
    asked_at TEXT NOT NULL,
    revealed_at TEXT,
    choice TEXT,
    voted_at TEXT
);
CREATE INDEX pairs_by_reading ON pairs(reading);
CREATE INDEX pairs_by_vote ON pairs(voted_at) WHERE choice IS NOT NULL;
INSERT INTO pairs VALUES
    (4, 'r', 'Why?', 'notes', 'none', 'tiny', '{{}}', '{{}}', NULL, NULL, '{AT}', '{AT}', 'right', '{AT}');
"""
SETS = f"""
CREATE TABLE sets (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    collection TEXT NOT NULL,
    folder TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE questions (
    id INTEGER PRIMARY KEY,
    set_id INTEGER NOT NULL REFERENCES sets(id) ON DELETE CASCADE,
    question TEXT NOT NULL,
    reference TEXT NOT NULL,
    origin TEXT NOT NULL,
    approved INTEGER NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX questions_by_set ON questions(set_id, question);
CREATE TABLE targets (
    id INTEGER PRIMARY KEY,
    question_id INTEGER NOT NULL REFERENCES questions(id) ON DELETE CASCADE,
    target_id TEXT NOT NULL,
    document TEXT NOT NULL,
    document_id TEXT NOT NULL,
    quote TEXT NOT NULL,
    page INTEGER,
    grade INTEGER NOT NULL,
    UNIQUE (question_id, target_id)
);
CREATE TABLE scores (
    collection TEXT NOT NULL,
    reranker TEXT NOT NULL,
    question TEXT NOT NULL,
    passages TEXT NOT NULL,
    scored_at TEXT NOT NULL,
    PRIMARY KEY (collection, reranker, question)
);
INSERT INTO sets VALUES (1, 'gone', 'notes', '', '{AT}', 1), (2, 'mine', 'notes', '', '{AT}', 0);
INSERT INTO questions VALUES (5, 2, 'Why?', 'So.', 'click', 1, 0), (6, 2, 'How?', '', 'draft', 0, 0);
INSERT INTO targets VALUES (9, 5, 't', 'a.txt', 'd', 'Because.', 3, 2);
INSERT INTO scores VALUES ('notes', 'tiny', 'Why?', '[[0.9, "t"], [0.25]]', '{AT}');
"""
TASKS = f"""
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    stage TEXT NOT NULL DEFAULT '',
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    result TEXT,
    cancel INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE rows (
    task_id INTEGER NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (task_id, key)
);
INSERT INTO tasks VALUES (3, 'run', 'mine', '{{"set_id": 2}}', 'interrupted', 's', 1, 2, 'r', NULL, 0, '{AT}', '{AT}');
INSERT INTO rows VALUES (3, 'b', '[1]'), (3, 'a', '[2]');
"""
JOBS = f"""
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    name TEXT NOT NULL,
    document_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    pages INTEGER NOT NULL DEFAULT 0,
    chunks_done INTEGER NOT NULL DEFAULT 0,
    chunks_total INTEGER NOT NULL DEFAULT 0,
    cancel INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX jobs_by_state ON jobs(state);
INSERT INTO jobs VALUES (1, 'notes', 'a.txt', 'd', 5, 'failed', 'Too large.', 2, 3, 4, 0, '{AT}', '{AT}');
"""
TOKENS = """
CREATE TABLE token_vectors (
    id INTEGER PRIMARY KEY,
    encoder TEXT NOT NULL,
    passage BLOB NOT NULL,
    collection TEXT NOT NULL,
    document_id TEXT NOT NULL,
    vectors BLOB NOT NULL,
    UNIQUE (encoder, passage, collection, document_id)
);
CREATE INDEX token_vectors_by_document ON token_vectors(document_id);
CREATE INDEX token_vectors_by_collection ON token_vectors(collection);
INSERT INTO token_vectors VALUES (1, 'e', x'dbcaf5aba6e2b3b1bf0f2d1ee2b3c2e2', 'notes', 'd', x'010203');
"""
