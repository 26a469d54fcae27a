"""`instructor-jax search`: the nearest rows of a corpus for each query, for a person to read or as JSON or HTML."""

from pathlib import Path

from instructor_jax.commands.console import say, say_json, terminal_width
from instructor_jax.commands.corpus_search import CorpusSearch
from instructor_jax.commands.search_options import ResultOptions, SearchOptions
from instructor_jax.commands.search_page import is_search_page, search_page
from instructor_jax.commands.search_results import hits_json, hits_text
from instructor_jax.commands.table_options import InputOptions
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.ownership import require_new_or_replaceable
from instructor_jax.model_options import ModelOptions, model_name


def search(
    corpus: Path,
    queries: Path | None = None,
    /,
    *,
    asked: SearchOptions = SearchOptions(),  # noqa: B008 - frozen
    results: ResultOptions = ResultOptions(),  # noqa: B008 - frozen
    reading: InputOptions = InputOptions(),  # noqa: B008 - frozen
    model: ModelOptions = ModelOptions(),  # noqa: B008 - frozen
) -> None:
    """Find the nearest rows of a corpus for each query.

    The corpus is encoded on the way:

      instructor-jax search articles.txt --query "who painted the night watch" \\
          --model hkunlp/instructor-base \\
          --query-instruction "Represent the Wikipedia question for retrieval: " \\
          --corpus-instruction "Represent the Wikipedia document for retrieval: "

    For a corpus that is searched often, encode it once:

      instructor-jax encode articles.txt -o articles.npy -m ./my-model \\
          --instruction "Represent the Wikipedia document for retrieval: "
      instructor-jax search articles.txt questions.txt -m ./my-model \\
          --corpus-vectors articles.npy --html found.html \\
          --query-instruction "Represent the Wikipedia question for retrieval: "

    Args:
        corpus: The texts to search in: .txt (one a line), .jsonl, .csv, .tsv, .parquet; a folder of Parquet files.
        queries: The texts to search for, a file of the same kinds.
        asked: See SearchOptions.
        results: See ResultOptions.
        reading: See InputOptions.
        model: See ModelOptions.
    """
    name, html = model_name(model), results.html
    asked.check(queries)
    if html is not None:
        read = [path for path in (corpus, queries, asked.corpus_vectors, Path(name)) if path is not None]
        require_new_or_replaceable(html, is_search_page, inputs=read, overwrite=results.overwrite, option="--overwrite")
    one_search = CorpusSearch(asked, reading, model)
    sought = one_search.queries(queries)
    hits, corpus_name = one_search.run(corpus, sought)
    texts = [text for block in sought for text in block.texts]
    if html is not None:
        with whole_file(html) as beside:
            beside.write_text(search_page(texts, hits, corpus=corpus_name, model=name), encoding="utf-8")
    if results.json_output:
        say_json(hits_json(texts, hits, name, corpus_name))
    else:
        say("\n\n".join(hits_text(*found, terminal_width()) for found in zip(texts, hits, strict=True)))
