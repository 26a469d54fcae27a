"""Sentence pairs in the files' own formats, so small that one sees what must come out."""

import gzip

import pytest

from instructor_jax.evaluation.local.pairs import (
    read_covid_pairs,
    read_msr_paraphrase,
    read_sts_benchmark,
    read_sts_year,
)
from instructor_jax.evaluation.local.records import LabelledPairs, ScoredPairs


def test_sts_benchmark_is_csv_with_quotes(tmp_path):
    (tmp_path / "stsb-en-test.csv").write_text('A cat.,"A dog, perhaps.",2.5\nOne.,"He said ""one"".",4\n')
    expected = ScoredPairs(["A cat.", "One."], ["A dog, perhaps.", 'He said "one".'], [2.5, 4.0])
    assert read_sts_benchmark(tmp_path) == expected


def test_pairs_without_a_score_are_left_out_and_quotes_are_text(tmp_path):
    year = tmp_path / "2015"
    year.mkdir()
    (year / "b.test.tsv").write_text('3.2\tsay "yes\tsay no" \n\tnot judged\teither\n')
    (year / "a.test.tsv.gz").write_bytes(gzip.compress(b"0\tx\ty\n"))
    assert read_sts_year(tmp_path, 2015) == ScoredPairs(["x", 'say "yes'], ["y", 'say no"'], [0.0, 3.2])


def test_the_year_2012_has_one_set_in_aligned_files(tmp_path):
    year = tmp_path / "2012"
    year.mkdir()
    (year / "a.test.tsv").write_text("1.000\tx\ty\n")
    (year / "STS.input.MSRvid.txt").write_text("one\ttwo\n")
    (year / "STS.gs.MSRvid.txt").write_text("5.000\n")
    assert read_sts_year(tmp_path, 2012) == ScoredPairs(["x", "one"], ["y", "two"], [1.0, 5.0])
    (year / "STS.input.MSRvid.txt").write_text("one two\n")
    with pytest.raises(ValueError, match="line 1: must hold two sentences"):
        read_sts_year(tmp_path, 2012)


def test_labelled_pairs(tmp_path):
    (tmp_path / "msr-para-test.tsv").write_text(
        'Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe said "so.\tSo he said.\n0\t9\t10\ta\tb\n',
        encoding="utf-8-sig",
    )
    (tmp_path / "eval_question_similarity_en.csv").write_text('question_1,question_2,similar\nq,"q, r",1\ns,t,0\n')
    assert read_msr_paraphrase(tmp_path) == LabelledPairs(['He said "so.', "a"], ["So he said.", "b"], [1, 0])
    assert read_covid_pairs(tmp_path) == LabelledPairs(["q", "s"], ["q, r", "t"], [1, 0])


def test_defects_name_their_line(tmp_path):
    (tmp_path / "stsb-en-test.csv").write_text("a,b,1\na,b,good\n")
    (tmp_path / "eval_question_similarity_en.csv").write_text("question_1,question_2,similar\nq,r,2\n")
    with pytest.raises(ValueError, match="line 2: score 'good' is no number"):
        read_sts_benchmark(tmp_path)
    with pytest.raises(ValueError, match="line 2: label '2' must be 0 or 1"):
        read_covid_pairs(tmp_path)
    with pytest.raises(ValueError, match=r"has no file named \*\.test\.tsv"):
        read_sts_year(tmp_path, 2013)
