/* Every call, each with what it answers. Needs an agent without controllers and without alarms. */

#include "check.h"

static void set_and_get(void) {
    SFmAlarmDataT alarm = an_alarm("host=c-1.disk=a", "disk \xc3\xa4 ### full#'%");
    fm_uuid_t uuid;
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, &uuid));
    CHECK(strlen(uuid) == 36);
    CHECK(reason_begins("") && fm_last_error_message(NULL, 0) == 0);

    AlarmFilter filter = a_filter("host=c-1.disk=a");
    SFmAlarmDataT found;
    memset(&found, 0x55, sizeof found);
    EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
    CHECK(strcmp(found.uuid, uuid) == 0);
    CHECK(strcmp(found.alarm_id, alarm.alarm_id) == 0);
    CHECK(found.alarm_state == FM_ALARM_STATE_SET);
    CHECK(strcmp(found.entity_type_id, alarm.entity_type_id) == 0);
    CHECK(strcmp(found.entity_instance_id, alarm.entity_instance_id) == 0);
    CHECK(found.timestamp > 1700000000000000ULL);
    CHECK(found.severity == FM_ALARM_SEVERITY_MAJOR);
    CHECK(strcmp(found.reason_text, alarm.reason_text) == 0);
    CHECK(found.alarm_type == FM_ALARM_EQUIPMENT);
    CHECK(found.probable_cause == FM_ALARM_FILE_ERROR);
    CHECK(strcmp(found.proposed_repair_action, alarm.proposed_repair_action) == 0);
    CHECK(found.service_affecting == FM_FALSE && found.suppression == FM_TRUE);

    /* Raised again with a time of its own; kept when it is asked to be kept. */
    alarm.timestamp = 1795341600500000ULL;
    copy_text(alarm.reason_text, "worse");
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
    EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
    CHECK(found.timestamp == 1795341600500000ULL);
    CHECK(strcmp(found.reason_text, "worse") == 0);
    fm_uuid_t again;
    copy_text(alarm.reason_text, "worse still");
    alarm.keep_existing_alarm = FM_TRUE;
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, &again));
    CHECK(strcmp(again, found.uuid) == 0);
    EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
    CHECK(strcmp(found.reason_text, "worse") == 0);

    EXPECT(FM_ERR_OK, fm_clear_fault(&filter));
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_clear_fault(&filter));
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filter, &found));
    CHECK(!reason_begins("") || fm_last_error_message(NULL, 0) > 0);
}

static void what_a_set_asks_for(void) {
    AlarmFilter filter = a_filter("host=c-2");
    SFmAlarmDataT alarm = an_alarm("host=c-2", "up"), found;
    /* By its state, with the key alone. */
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
    SFmAlarmDataT clear;
    memset(&clear, 0xff, sizeof clear);
    clear.alarm_state = FM_ALARM_STATE_CLEAR;
    copy_text(clear.alarm_id, alarm.alarm_id);
    copy_text(clear.entity_instance_id, alarm.entity_instance_id);
    fm_uuid_t uuid;
    EXPECT(FM_ERR_OK, fm_set_fault(&clear, &uuid));
    CHECK(uuid[0] == '\0');
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filter, &found));
    /* By its severity. */
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
    alarm.severity = FM_ALARM_SEVERITY_CLEAR;
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filter, &found));
    /* A log is no alarm. */
    alarm = an_alarm("host=c-2", "logged");
    alarm.alarm_state = FM_ALARM_STATE_MSG;
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, &uuid));
    CHECK(strlen(uuid) == 36);
    alarm.alarm_state = FM_ALARM_STATE_LOG;
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, &uuid));
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filter, &found));
    /* The whole system is an entity. */
    alarm = an_alarm("", "storage");
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
    filter = a_filter(" ");
    EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
    CHECK(found.entity_instance_id[0] == '\0');
    EXPECT(FM_ERR_OK, fm_clear_fault(&filter));
}

static void reads(void) {
    const char *entities[] = {"host=r-1", "host=r-1.port=a", "host=r-1=10.0.0.1", "host=r-10"};
    for (unsigned i = 0; i < 4; i++) {
        SFmAlarmDataT alarm = an_alarm(entities[i], "up");
        alarm.timestamp = 1000000 + i;
        EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
    }
    SFmAlarmDataT found[5];
    unsigned int max = 5;
    fm_ent_inst_t entity;
    copy_text(entity, "host=r-1");
    EXPECT(FM_ERR_OK, fm_get_faults(&entity, found, &max));
    CHECK(max == 3);
    for (unsigned i = 0; i < 3; i++) CHECK(strcmp(found[i].entity_instance_id, entities[i]) == 0);

    max = 3;
    EXPECT(FM_ERR_OK, fm_get_faults(&entity, found, &max));
    CHECK(max == 3);
    memset(found, 0x55, sizeof found);
    max = 2;
    EXPECT(FM_ERR_NOT_ENOUGH_SPACE, fm_get_faults(&entity, found, &max));
    CHECK(max == 2 && reason_begins("3 alarms match"));
    for (size_t i = 0; i < sizeof found; i++) CHECK(((const unsigned char *)found)[i] == 0x55);
    max = 0;
    EXPECT(FM_ERR_NOT_ENOUGH_SPACE, fm_get_faults(&entity, found, &max));
    copy_text(entity, "host=nowhere");
    max = 5;
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_faults(&entity, found, &max));
    CHECK(max == 0);

    fm_alarm_id id;
    copy_text(id, "100.103");
    max = 5;
    EXPECT(FM_ERR_OK, fm_get_faults_by_id(&id, found, &max));
    CHECK(max == 4);
    copy_text(id, "100.1030");
    max = 5;
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_faults_by_id(&id, found, &max));
    CHECK(max == 0);

    AlarmFilter filter = a_filter("host=r-1");
    max = 5;
    EXPECT(FM_ERR_OK, fm_get_faults_by_id_n_eid(&filter, found, &max));
    CHECK(max == 3);
    max = 1;
    EXPECT(FM_ERR_NOT_ENOUGH_SPACE, fm_get_faults_by_id_n_eid(&filter, found, &max));
    CHECK(max == 1);
    /* Told nothing, the call takes the array to hold a thousand. */
    SFmAlarmDataT *thousand = (SFmAlarmDataT *)calloc(DEF_MAX_ALARMS, sizeof *thousand);
    CHECK(thousand != NULL);
    max = 0;
    EXPECT(FM_ERR_OK, fm_get_faults_by_id_n_eid(&filter, thousand, &max));
    CHECK(max == 3);
    free(thousand);

    copy_text(entity, "host=r-1");
    EXPECT(FM_ERR_OK, fm_clear_all(&entity));
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_clear_all(&entity));
    copy_text(entity, "host=r-10");
    EXPECT(FM_ERR_OK, fm_clear_all(&entity));
}

static void arrays(void) {
    SFmAlarmDataT alarms[60];
    AlarmFilter filters[61];
    for (int i = 0; i < 60; i++) {
        char entity[64];
        snprintf(entity, sizeof entity, "host=a-%02d", i);
        alarms[i] = an_alarm(entity, "up");
        filters[i] = a_filter(entity);
    }
    filters[60] = a_filter("host=nowhere");
    EXPECT(FM_ERR_OK, fm_set_fault_array(alarms, 60));
    SFmAlarmDataT found;
    for (int i = 0; i < 60; i++) EXPECT(FM_ERR_OK, fm_get_fault(&filters[i], &found));
    EXPECT(FM_ERR_OK, fm_clear_fault_array(filters, 61));
    for (int i = 0; i < 60; i++) EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filters[i], &found));
    EXPECT(FM_ERR_OK, fm_set_fault_array(NULL, 0));
    EXPECT(FM_ERR_OK, fm_clear_fault_array(NULL, 0));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault_array(NULL, 1));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_fault_array(NULL, 1));
    /* All or nothing. */
    alarms[40].alarm_id[0] = '\0';
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault_array(alarms, 60));
    CHECK(reason_begins("alarms[40].alarm_id: "));
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filters[0], &found));
}

static void detached(void) {
    SFmAlarmDataT alarm = an_alarm("host=d-1", "up"), found;
    AlarmFilter filter = a_filter("host=d-1");
    fm_uuid_t uuid;
    /* A call that waits for its answer comes after those that do not. */
    for (int i = 0; i < 50; i++) {
        EXPECT(FM_ERR_OK, fm_set_fault_async(&alarm, &uuid));
        EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
        EXPECT(FM_ERR_OK, fm_clear_fault_async(&filter));
        EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filter, &found));
    }
    EXPECT(FM_ERR_OK, fm_set_fault_async(&alarm, NULL));
    EXPECT(FM_ERR_OK, fm_set_fault_async(&alarm, &uuid));
    CHECK(strlen(uuid) == 36);
    fm_ent_inst_t entity;
    copy_text(entity, "host=d-1");
    EXPECT(FM_ERR_OK, fm_clear_all_async(&entity));
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filter, &found));
    /* Nothing of it is there: an error of the waiting calls, none of these. */
    EXPECT(FM_ERR_OK, fm_clear_all_async(&entity));
    EXPECT(FM_ERR_OK, fm_clear_fault_async(&filter));
    /* What can be told at once is. */
    alarm.severity = (EFmAlarmSeverityT)5;
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault_async(&alarm, NULL));
    entity[0] = '\0';
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_all_async(&entity));
    filter.alarm_id[0] = '\0';
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_fault_async(&filter));
}

static void parameters(void) {
    SFmAlarmDataT alarm = an_alarm("host=p-1", "up"), found;
    AlarmFilter filter = a_filter("host=p-1");
    fm_ent_inst_t entity;
    fm_alarm_id id;
    unsigned int max = 1;
    copy_text(entity, "host=p-1");
    copy_text(id, "100.103");
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault(NULL, NULL));
    CHECK(reason_begins("alarm: is NULL"));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault_async(NULL, NULL));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_fault(NULL));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_fault_async(NULL));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_all(NULL));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_all_async(NULL));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_fault(NULL, &found));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_fault(&filter, NULL));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults(NULL, &found, &max));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults(&entity, NULL, &max));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults(&entity, &found, NULL));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults_by_id(NULL, &found, &max));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults_by_id(&id, NULL, &max));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults_by_id(&id, &found, NULL));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults_by_id_n_eid(NULL, &found, &max));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults_by_id_n_eid(&filter, NULL, &max));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults_by_id_n_eid(&filter, &found, NULL));
    CHECK(max == 1);

    memset(alarm.reason_text, 'x', sizeof alarm.reason_text);
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault(&alarm, NULL));
    CHECK(reason_begins("reason_text: no NUL"));
    memset(entity, 'x', sizeof entity);
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_all(&entity));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_get_faults(&entity, &found, &max));
    alarm = an_alarm("host=p-1", "up");
    alarm.probable_cause = FM_ALARM_CAUSE_MAX;
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault(&alarm, NULL));
    CHECK(reason_begins("probable_cause: 75 "));
    alarm = an_alarm("host=p-1", "up");
    alarm.alarm_type = FM_ALARM_TYPE_MAX;
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault(&alarm, NULL));
    alarm = an_alarm("host=p-1", "up");
    alarm.alarm_state = FM_ALARM_STATE_MAX;
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault(&alarm, NULL));
    entity[0] = '\0';
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_all(&entity));
    CHECK(reason_begins("entity_instance_id: is empty"));

    /* A text that a caller has cut inside a character is no reason to lose the alarm. */
    alarm = an_alarm("host=p-2", "cut \xc3");
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
    filter = a_filter("host=p-2");
    EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
    CHECK(strcmp(found.reason_text, "cut ") == 0);
    EXPECT(FM_ERR_OK, fm_clear_fault(&filter));
}

/* Exported by the library these callers had, though in no header. */
EFmErrorT fm_init_lib(void);
EFmErrorT fm_server_create(const char *);

static void the_rest(void) {
    EXPECT(FM_ERR_OK, fm_init_lib());
    EXPECT(FM_ERR_INVALID_REQ, fm_server_create("/etc/fm.conf"));
    CHECK(reason_begins("the central fault manager is not part of this library"));
    char small[8];
    size_t whole = fm_last_error_message(small, sizeof small);
    CHECK(whole > 7 && strcmp(small, "the cen") == 0);
    CHECK(fm_last_error_message(small, 1) == whole && small[0] == '\0');
    CHECK(strcmp(fm_strerror(FM_ERR_ENTITY_NOT_FOUND), "no alarm matches") == 0);
    CHECK(fm_strerror((EFmErrorT)99)[0] != '\0');
    EXPECT(FM_ERR_OK, fm_set_timeout_ms(0, 0));
}

int main(void) {
    set_and_get();
    what_a_set_asks_for();
    reads();
    arrays();
    detached();
    parameters();
    the_rest();
    return 0;
}
