"""Rerankers, one file per kind; `base` sorts and cuts for all, `shelf` hands them out, `readiness` gets them ready."""
