"""Evaluation on the paper's 70 tasks and on local data: MTEB, Billboard, Prompt Retrieval, and the studies on top."""
