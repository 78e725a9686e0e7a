"""Answers about many folders: from the cache where they are known, by several processes where asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..formats.tree import Folder
from .cache import Cache, key_of
from .inspection import Answer, Service, inspect
from .question import Question

Task = tuple[Folder, Sequence[Service]]
"""A folder, and the deployments that run from it."""

Progress = Callable[[int, int], None]
"""Called with the number of folders done, and of all."""

CHUNK = 64
"""Folders a process is handed at a time."""


def answer_all(
    tasks: Sequence[Task], question: Question, jobs: int, cache: Cache | None, progress: Progress | None
) -> list[list[Answer]]:
    """`inspect` of every task, in order; neither `jobs` nor the cache changes an answer."""
    keys = [key_of(folder, [question.plain, _plain(services)]) for folder, services in tasks] if cache else []
    known = cache.get(keys) if cache else {}
    answers: dict[int, list[Answer]] = {n: known[key] for n, key in enumerate(keys) if key in known}
    missing = [n for n in range(len(tasks)) if n not in answers]
    chunks = [missing[start : start + CHUNK] for start in range(0, len(missing), CHUNK)]
    for chunk, made in zip(chunks, _run([[tasks[n] for n in chunk] for chunk in chunks], question, jobs), strict=True):
        answers.update(zip(chunk, made, strict=True))
        if cache:
            cache.put({keys[n]: answers[n] for n in chunk})
        if progress:
            progress(len(answers), len(tasks))
    return [answers[n] for n in range(len(tasks))]


def _plain(services: Sequence[Service]) -> list[list[object]]:
    return [[str(entry), Question(controller=controller).plain] for entry, controller in services]


def _run(chunks: Sequence[Sequence[Task]], question: Question, jobs: int) -> Iterator[list[list[Answer]]]:
    if jobs <= 1 or len(chunks) <= 1:
        for chunk in chunks:
            yield _inspect_all(chunk, question)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Not forked from here: the caller may run threads (JAX's, torch's), whose locks a fork would copy as held.
    fresh = get_context("forkserver")
    with ProcessPoolExecutor(min(jobs, len(chunks)), fresh, initializer=_take, initargs=(question,)) as pool:
        yield from pool.map(_inspect_chunk, chunks)


def _inspect_all(chunk: Sequence[Task], question: Question) -> list[list[Answer]]:
    return [inspect(folder, question, services) for folder, services in chunk]


_asked = Question()
"""In a worker process, the question of its pool: sent once, not with every chunk."""


def _take(question: Question) -> None:
    global _asked
    _asked = question


def _inspect_chunk(chunk: Sequence[Task]) -> list[list[Answer]]:
    return _inspect_all(chunk, _asked)
