-- The memory of all bridges. Times are Unix milliseconds, structures are JSON texts.

CREATE TABLE bridges (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What was pushed to us. A body that was dealt with leaves its dedupe key behind until it is pruned.
-- source: 0 Salebot, 1 amoCRM. state: 0 waiting, 1 done, 2 dead.
CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    bridge      INTEGER NOT NULL,
    source      INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    dedupe      TEXT,
    client      INTEGER,
    message     INTEGER,
    received_at INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    reason      TEXT,
    body        BLOB
) STRICT;

-- A body that comes twice.
CREATE UNIQUE INDEX inbox_dedupe ON inbox (bridge, source, dedupe) WHERE dedupe IS NOT NULL;
-- Which clients are due, when the next one is, how many wait and since when.
CREATE INDEX inbox_due ON inbox (bridge, due, client, received_at) WHERE state = 0;
-- The waiting bodies of a client in the order of the dialogue.
CREATE INDEX inbox_dialogue ON inbox (bridge, client, message) WHERE state = 0;
-- Dedupe keys by age.
CREATE INDEX inbox_done ON inbox (bridge, received_at) WHERE state = 1;
-- Dead letters by age.
CREATE INDEX inbox_dead ON inbox (bridge, received_at) WHERE state = 2;

-- Records to look at again. Marking one again gives it a new row, so that no revision is ever used twice.
-- kind: 0 contact, 1 lead, 2 client.
CREATE TABLE marks (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    bridge   INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    subject  INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    attempts INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX marks_subject ON marks (bridge, kind, subject);
-- What is due, oldest first.
CREATE INDEX marks_due ON marks (bridge, due);

-- Decided writes. side: 0 amoCRM, 1 Salebot. state: 0 ready, 1 running, 2 dead. priority: 0 person, 1 poll, 2 background.
CREATE TABLE outbox (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    bridge           INTEGER NOT NULL,
    side             INTEGER NOT NULL,
    state            INTEGER NOT NULL,
    priority         INTEGER NOT NULL,
    in_doubt         INTEGER NOT NULL,
    attempts         INTEGER NOT NULL,
    not_before       INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    first_attempt_at INTEGER,
    died_at          INTEGER,
    name             TEXT NOT NULL,
    key              TEXT NOT NULL,
    slot             TEXT,
    fault            TEXT,
    payload          TEXT NOT NULL
) STRICT;

-- The most urgent ready actions of a side.
CREATE INDEX outbox_ready ON outbox (bridge, side, priority, id, not_before) WHERE state = 0;
-- The next ready action of a side.
CREATE INDEX outbox_due ON outbox (bridge, side, not_before, key, id) WHERE state = 0;
-- What comes before an action in its key; how many wait or run and since when.
CREATE INDEX outbox_key ON outbox (bridge, key, id, state, name, not_before, priority, created_at) WHERE state < 2;
-- Waiting and running actions of one name.
CREATE INDEX outbox_name ON outbox (bridge, name) WHERE state < 2;
-- The waiting action of a slot.
CREATE INDEX outbox_slot ON outbox (bridge, slot) WHERE state = 0 AND slot IS NOT NULL;
-- What a crash left running.
CREATE INDEX outbox_running ON outbox (bridge) WHERE state = 1;
-- Dead letters by age.
CREATE INDEX outbox_dead ON outbox (bridge, died_at) WHERE state = 2;

-- Clients, the contacts they belong to, and what both sides were last seen to have.
CREATE TABLE clients (
    bridge          INTEGER NOT NULL,
    client          INTEGER NOT NULL,
    contact         INTEGER,
    last_message_at INTEGER,
    revision        INTEGER NOT NULL,
    facts           TEXT NOT NULL,
    bases           TEXT NOT NULL,
    PRIMARY KEY (bridge, client)
) STRICT;

-- The clients of a contact; how many links there are.
CREATE INDEX clients_contact ON clients (bridge, contact, client) WHERE contact IS NOT NULL;

-- Leads, the orders they became, and what both sides were last seen to have.
CREATE TABLE deals (
    bridge   INTEGER NOT NULL,
    lead     INTEGER NOT NULL,
    contact  INTEGER,
    client   INTEGER,
    revision INTEGER NOT NULL,
    facts    TEXT NOT NULL,
    bases    TEXT NOT NULL,
    PRIMARY KEY (bridge, lead)
) STRICT;

-- The deals of a contact.
CREATE INDEX deals_contact ON deals (bridge, contact, lead) WHERE contact IS NOT NULL;

-- What is remembered of contacts, linked or not.
CREATE TABLE contacts (
    bridge      INTEGER NOT NULL,
    contact     INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    PRIMARY KEY (bridge, contact)
) STRICT, WITHOUT ROWID;

-- Phone numbers and e-mail addresses that lead to a contact: `phone:+79990000001`.
CREATE TABLE contact_keys (
    bridge  INTEGER NOT NULL,
    key     TEXT NOT NULL,
    contact INTEGER NOT NULL,
    PRIMARY KEY (bridge, key)
) STRICT, WITHOUT ROWID;

-- The keys of a contact, to be replaced or forgotten.
CREATE INDEX contact_keys_contact ON contact_keys (bridge, contact);

-- How far listings have been read.
CREATE TABLE cursors (
    bridge   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    moved_at INTEGER NOT NULL,
    PRIMARY KEY (bridge, name)
) STRICT, WITHOUT ROWID;

-- Texts kept under a name.
CREATE TABLE texts (
    bridge INTEGER NOT NULL,
    name   TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (bridge, name)
) STRICT;

-- What was decided and done, and why.
CREATE TABLE journal (
    id      INTEGER PRIMARY KEY,
    bridge  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    subject TEXT NOT NULL,
    kind    TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;

-- The newest lines about a record.
CREATE INDEX journal_subject ON journal (bridge, subject, at);
-- Lines by age.
CREATE INDEX journal_at ON journal (bridge, at);
