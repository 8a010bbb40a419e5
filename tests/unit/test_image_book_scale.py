"""A book of a million instances answers as one of a thousand does: what is claimed and what is due costs the same steps."""

from datetime import timedelta
from pathlib import Path

from frontend_agent.spool import Spool
from frontend_agent.spool.image_words import Rules
from frontend_agent.spool.images import Images
from tests.study_kit import NOW

LEASE = timedelta(minutes=5)
SOME, MANY = 2_000, 200_000

# Studies of 200 instances: delivered long ago, all but the last few, of which some wait and some are to be looked at.
FILL = """
INSERT INTO destination (name) SELECT 'region' WHERE NOT EXISTS (SELECT 1 FROM destination WHERE name = 'region');
INSERT INTO image_origin (id, inlet, sender) VALUES (1, 'pacs', 'PACS@10.0.0.1');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {studies})
INSERT INTO image_study (id, uid, institution, inlet, state, urgency, first_at, last_at, due_at, patient_id, accession, ended_at)
SELECT i, '1.2.' || i, 'H1', 'pacs', iif(i > {studies} - 5, 'collecting', iif(i > {studies} - 8, 'sending', 'done')), 1, {now}, {now},
       iif(i > {studies} - 5, {now}, NULL), 'P' || i, 'A' || i, iif(i > {studies} - 8, NULL, {now}) FROM n;
INSERT INTO image_series (id, study, uid, instances, header) SELECT id, id, uid || '.1', 200, '{{}}' FROM image_study;
WITH RECURSIVE k(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM k WHERE j < 200)
INSERT INTO image_instance (study, series, uid, sha256, size, origin, received_at, conflict, differs)
SELECT s.id, s.id, s.uid || '.1.' || j, randomblob(32), 500000, 1, {now}, 0,
       '{{"sop_instance_uid":"' || s.uid || '.1.' || j || '","study_instance_uid":"' || s.uid || '"}}'
FROM image_study s, k;
INSERT INTO image_delivery (destination, instance, study, state, urgency)
SELECT (SELECT id FROM destination WHERE name = 'region'), i.id, i.study, iif(i.study > {studies} - 8, 'ready', 'delivered'), 1
FROM image_instance i;
"""


def filled(folder: Path, instances: int) -> Spool:
    spool = Spool(folder, reserve=0).open()
    spool.images.open(Rules("H1"), NOW)
    connection = spool._database._connection
    at = int(NOW.timestamp() * 1000)
    for statement in FILL.format(studies=instances // 200, now=at).split(";\n"):
        if statement.strip():
            connection.execute(statement)
    return spool


def steps(spool: Spool, images: Images) -> dict[str, int]:
    """How many steps of SQLite's machine each question takes."""
    connection = spool._database._connection
    counted = 0

    def one() -> bool:
        nonlocal counted
        counted += 1
        return False

    asked = {
        "due": lambda: images.due(NOW, 3),
        "claim": lambda: images.claim("region", NOW, limit=50, max_bytes=1 << 40, lease=LEASE),
        "claim beside busy": lambda: images.claim(
            "region", NOW, limit=50, max_bytes=1 << 40, lease=LEASE, busy=[images.studies(limit=8)[-1].id]
        ),
        "list": lambda: images.studies(limit=20),
        "counts": lambda: images.tallies(),
        "over": lambda: images._database.rows("image.over", before=0, limit=20),
        "find": lambda: images.study_of("1.2.7"),
        "known": lambda: images._database.rows("image.known", uids='["1.2.7.1.7"]'),
    }
    found = {}
    connection.set_progress_handler(one, 10)
    try:
        for name, ask in asked.items():
            counted = 0
            ask()
            found[name] = counted
    finally:
        connection.set_progress_handler(None)
    return found


def test_what_is_due_costs_the_same_however_much_is_known(tmp_path: Path) -> None:
    with filled(tmp_path / "some", SOME) as some, filled(tmp_path / "many", MANY) as many:
        few, lots = steps(some, some.images), steps(many, many.images)
    assert lots.keys() == few.keys()
    grown = {name: (few[name], lots[name]) for name in few if lots[name] > few[name] * 1.3 + 30}
    assert not grown
