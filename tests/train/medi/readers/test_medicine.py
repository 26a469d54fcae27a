"""Medical questions, answers and evidence."""

import json

import pytest

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers import medicine

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<Document id="1"><Focus>Flu</Focus><QAPairs>
<QAPair pid="1"><Question qid="1-1" qtype="information">What is  Flu ?</Question><Answer>A
    virus &amp; more.</Answer></QAPair>
<QAPair pid="2"><Question qid="1-2" qtype="treatment">How is Flu treated ?</Question><Answer>Rest.</Answer></QAPair>
<QAPair pid="3"><Question qid="1-3" qtype="treatment">How to treat Flu ?</Question><Answer/></QAPair>
</QAPairs></Document>"""


def _sites(**pages):
    return {
        f"{site}.tar.gz": ({f"{site}/1.xml": pages["first"]} if i == 0 else {})
        for i, site in enumerate(medicine.MEDQUAD_SITES)
    }


def test_medquad(make_folder):
    assert list(medicine.medquad(make_folder(_sites(first=PAGE)))) == [
        Row("What is Flu ?", "A virus & more.", "1_CancerGov_QA/1:1", ("Rest.", "")),
        Row("How is Flu treated ?", "Rest.", "1_CancerGov_QA/1:2", ("A virus & more.",)),
        Row("How to treat Flu ?", "", "1_CancerGov_QA/1:3", ("A virus & more.",)),
    ]


@pytest.mark.parametrize(
    ("page", "problem"),
    [("<Document>", "1.xml, row 1: not XML"), ('<D><QAPair pid="4"/></D>', "row pair 4: needs a Question")],
)
def test_medquad_names_broken_pages(make_folder, page, problem):
    with pytest.raises(ValueError, match=problem):
        list(medicine.medquad(make_folder(_sites(first=page))))


def _rqe(*pairs):
    body = "".join(f'<pair pid="{p}" value="{v}"><chq>\n {c}\n</chq><faq>{f}</faq></pair>' for p, v, c, f in pairs)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Set>{body}</Set>'


def test_mediqa_rqe(make_folder):
    train = _rqe((1, "true", "long a", "short a"), (2, "false", "long a", "other"), (3, "true", "long b", "short b"))
    folder = make_folder(
        {
            "MEDIQA2019-Task2-RQE-TrainingSet-AMIA2016.xml.gz": train,
            "MEDIQA2019-Task2-RQE-ValidationSet-AMIA2016.xml": _rqe(),
            "MEDIQA2019-Task2-RQE-TestSet-wLabels.xml": _rqe((9, "maybe", "x", "y")),
        }
    )
    rows = medicine.mediqa_rqe(folder)
    assert [next(rows), next(rows)] == [
        Row("long a", "short a", "TrainingSet-AMIA2016:1", ("other",)),
        Row("long b", "short b", "TrainingSet-AMIA2016:3"),
    ]
    with pytest.raises(ValueError, match="row pair 9: value='maybe'"):
        next(rows)


def test_meqsum(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for cells in (["File", "CHQ", "Summary"], ["1.txt", "SUBJECT: flu\nMESSAGE: what?", "What is flu?"]):
        book.active.append(cells)
    book.save(tmp_path / "MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx")
    assert list(medicine.meqsum(tmp_path)) == [Row("SUBJECT: flu MESSAGE: what?", "What is flu?", "2")]


def test_pubmedqa(make_folder):
    record = {"QUESTION": "Does it?", "CONTEXTS": ["We asked.", "We saw."], "LONG_ANSWER": "It does."}
    folder = make_folder({"ori_pqal.json": json.dumps({"123": record})})
    assert list(medicine.pubmedqa_abstract(folder)) == [Row("Does it?", "We asked. We saw.", "123")]
    assert list(medicine.pubmedqa_conclusion(folder)) == [Row("Does it?", "It does.", "123")]


def test_healthver(make_folder):
    head = "id,evidence,claim,label,topic_ip,question\n"
    dev = "1,E one,Claim,Supports,1,q\n2,E two,Claim,Neutral,1,q\n"
    dev += "3,E three,Other,Refutes,1,q\n4,E one,Claim,Neutral,1,q\n"
    folder = make_folder({"healthver_dev.csv": head + dev, "healthver_test.csv": head + "1,E four,Claim,Refutes,1,q\n"})
    # "E one" is judged both ways for the claim, so it is no negative of it.
    assert list(medicine.healthver(folder)) == [
        Row("Claim", "E one", "dev:1", ("E two",)),
        Row("Other", "E three", "dev:3"),
        Row("Claim", "E four", "test:1", ("E two",)),
    ]


def test_healthver_refuses_other_labels(make_folder):
    text = "id,evidence,claim,label\n1,e,c,Maybe\n"
    with pytest.raises(ValueError, match="row 1: label='Maybe'"):
        list(medicine.healthver(make_folder({"healthver_dev.csv": text})))
