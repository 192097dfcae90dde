-- Schema 5 as released, with rows. Never edited.
CREATE TABLE request (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        domain   TEXT NOT NULL,
        kind     TEXT NOT NULL CHECK (kind IN ('raise', 'clear', 'clear_all', 'log')),
        alarm_id TEXT NOT NULL,     -- empty for clear_all
        entity   TEXT NOT NULL,
        uuid     TEXT NOT NULL,     -- raise, log: the uuid at the controller
        alarm    TEXT NOT NULL,     -- raise, log: the alarm as JSON
        rule     TEXT NOT NULL,     -- clear_all: how the entity matches
        taken_at INTEGER NOT NULL   -- microseconds since the epoch
    , origin TEXT, previous INTEGER, rank INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX request_by_domain ON request (domain, seq);
CREATE INDEX request_clear_all ON request (seq) WHERE kind = 'clear_all';
CREATE TABLE alarm (
        alarm_id        TEXT NOT NULL,
        entity          TEXT NOT NULL,
        domain          TEXT NOT NULL,
        alarm           TEXT,             -- as last raised, as JSON; null: cleared
        pending         INTEGER,          -- seq of the latest request about it that still waits
        controller_uuid TEXT, held_since INTEGER, raised_by TEXT, raised_at INTEGER, changed_by TEXT, changed_at INTEGER,             -- under which the controller holds it
        PRIMARY KEY (alarm_id, entity)
    ) STRICT, WITHOUT ROWID;
CREATE TABLE rejected (
        seq         INTEGER PRIMARY KEY,
        domain      TEXT NOT NULL,
        kind        TEXT NOT NULL,
        alarm_id    TEXT NOT NULL,
        entity      TEXT NOT NULL,
        uuid        TEXT NOT NULL,
        alarm       TEXT NOT NULL,
        rule        TEXT NOT NULL,
        taken_at    INTEGER NOT NULL,
        rejected_at INTEGER NOT NULL,
        answer      TEXT NOT NULL
    , origin TEXT) STRICT;
CREATE TABLE event (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        state    TEXT NOT NULL CHECK (state IN ('set', 'clear', 'log')),
        alarm_id TEXT NOT NULL,
        entity   TEXT NOT NULL,
        uuid     TEXT NOT NULL,
        alarm    TEXT NOT NULL,
        at       INTEGER NOT NULL
    , origin TEXT) STRICT;
CREATE TABLE token (
        slot   INTEGER PRIMARY KEY,
        number INTEGER NOT NULL,    -- of the call, counted from 0
        token  BLOB NOT NULL
    ) STRICT;
CREATE TABLE begun (
        domain TEXT PRIMARY KEY,
        up_to  INTEGER NOT NULL     -- seq of a request
    ) STRICT, WITHOUT ROWID;
CREATE TABLE settled (
        domain TEXT PRIMARY KEY,
        here   INTEGER NOT NULL     -- 1: the domain's record is here
    ) STRICT, WITHOUT ROWID;
CREATE TABLE cleared (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        domain   TEXT NOT NULL,
        alarm_id TEXT NOT NULL,
        entity   TEXT NOT NULL,
        uuid     TEXT NOT NULL,     -- at the controller
        at       INTEGER NOT NULL   -- microseconds since the epoch
    ) STRICT;
CREATE TABLE accepted (
        alarm_id TEXT NOT NULL,
        entity   TEXT NOT NULL,
        alarm    TEXT NOT NULL,     -- as JSON
        PRIMARY KEY (alarm_id, entity)
    ) STRICT, WITHOUT ROWID;
CREATE TRIGGER accepted_settled AFTER UPDATE ON alarm
        WHEN NEW.pending IS NULL OR NEW.controller_uuid IS NULL
    BEGIN
        DELETE FROM accepted WHERE alarm_id = OLD.alarm_id AND entity = OLD.entity;
    END;
CREATE TRIGGER accepted_gone AFTER DELETE ON alarm
    BEGIN
        DELETE FROM accepted WHERE alarm_id = OLD.alarm_id AND entity = OLD.entity;
    END;
CREATE INDEX request_log ON request (rank, domain, seq) WHERE kind = 'log';
CREATE INDEX request_same_clear_all ON request (domain, entity, rule, seq) WHERE kind = 'clear_all';
CREATE TABLE superseded (
        seq  INTEGER PRIMARY KEY,
        next INTEGER NOT NULL       -- seq of a request
    ) STRICT;
CREATE INDEX alarm_by_entity ON alarm (entity);
-- Rows.
INSERT INTO request (seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at) VALUES (5, 'platform', 'raise', '1', 'host=c1', '00000000-0000-4000-8000-000000000001', '{"uuid": "00000000-0000-4000-8000-000000000001", "alarm_id": "1", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', '', 1795366800000005);
INSERT INTO request (seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at) VALUES (6, 'platform', 'clear', '2', 'host=c1', '', '', '', 1795366800000006);
INSERT INTO request (seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at) VALUES (7, 'openstack', 'raise', '3', 'host=c1', '00000000-0000-4000-8000-000000000003', '{"uuid": "00000000-0000-4000-8000-000000000003", "alarm_id": "3", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', '', 1795366800000007);
INSERT INTO request (seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at) VALUES (8, 'platform', 'log', '4', 'host=c1', '00000000-0000-4000-8000-000000000004', '{"uuid": "00000000-0000-4000-8000-000000000004", "alarm_id": "4", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', '', 1795366800000008);
INSERT INTO request (seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at) VALUES (9, 'platform', 'clear_all', '', 'host=c9', '', '', 'component', 1795366800000009);
INSERT INTO request (seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at) VALUES (10, 'platform', 'clear', '5', 'host=c1', '00000000-0000-4000-8000-000000000005', '', '', 1795366800000010);
INSERT INTO request (seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at) VALUES (11, 'platform', 'raise', '6', 'host=c1', '00000000-0000-4000-8000-000000000006', '{"uuid": "00000000-0000-4000-8000-000000000006", "alarm_id": "6", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', '', 1795366800000011);
INSERT INTO alarm (alarm_id, entity, domain, alarm, pending, controller_uuid) VALUES ('1', 'host=c1', 'platform', '{"uuid": "00000000-0000-4000-8000-000000000001", "alarm_id": "1", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', 5, NULL);
INSERT INTO alarm (alarm_id, entity, domain, alarm, pending, controller_uuid) VALUES ('2', 'host=c1', 'platform', NULL, 6, '00000000-0000-4000-8000-000000000002');
INSERT INTO alarm (alarm_id, entity, domain, alarm, pending, controller_uuid) VALUES ('3', 'host=c1', 'openstack', '{"uuid": "00000000-0000-4000-8000-000000000003", "alarm_id": "3", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', 7, NULL);
INSERT INTO alarm (alarm_id, entity, domain, alarm, pending, controller_uuid) VALUES ('6', 'host=c1', 'platform', '{"uuid": "00000000-0000-4000-8000-000000000006", "alarm_id": "6", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', 11, NULL);
INSERT INTO alarm (alarm_id, entity, domain, alarm, pending, controller_uuid) VALUES ('7', 'host=c1', 'platform', '{"uuid": "00000000-0000-4000-8000-000000000007", "alarm_id": "7", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', NULL, '00000000-0000-4000-8000-000000000007');
INSERT INTO rejected (seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at, rejected_at, answer) VALUES (3, 'platform', 'raise', '8', 'host=c1', '00000000-0000-4000-8000-000000000008', '{"uuid": "00000000-0000-4000-8000-000000000008", "alarm_id": "8", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', '', 1795366800000000, 1795366800000000, 'not so');
INSERT INTO event (state, alarm_id, entity, uuid, alarm, at) VALUES ('set', '7', 'host=c1', '00000000-0000-4000-8000-000000000007', '{"uuid": "00000000-0000-4000-8000-000000000007", "alarm_id": "7", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}', 1795366800000000);
INSERT INTO token VALUES (0, 0, x'07070707070707070707070707070707');
INSERT INTO begun VALUES ('platform', 70);
INSERT INTO settled VALUES ('openstack', 0), ('platform', 0);
INSERT INTO cleared (domain, alarm_id, entity, uuid, at) VALUES ('platform', '9', 'host=c1', '00000000-0000-4000-8000-000000000009', 1795366800000000);
UPDATE alarm SET held_since = 1795366800000000 WHERE alarm_id = '7';
INSERT INTO accepted VALUES ('1', 'host=c1', '{"uuid": "00000000-0000-4000-8000-000000000001", "alarm_id": "1", "alarm_state": "set", "entity_type_id": "host", "entity_instance_id": "host=c1", "timestamp": 1795366800000000, "severity": "major", "reason_text": "hot", "alarm_type": "equipment", "probable_cause": "unknown", "proposed_repair_action": "", "service_affecting": false, "suppression": false, "keep_existing_alarm": false, "inhibit_alarms": false}');
PRAGMA user_version = 5;
