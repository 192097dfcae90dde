/* What the test programs share: checks that end the program with the place and the library's own words, and
 * an alarm to raise. */

#ifndef CHECK_H
#define CHECK_H

#include <fmAPI.h>
#include <fmAlarm.h>

#include <stdlib.h>

#define CHECK(holds)                                                                  \
    do {                                                                              \
        if (!(holds)) {                                                               \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #holds); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

#define EXPECT(expected, call) expect((expected), (call), #call, __FILE__, __LINE__)

static inline void expect(EFmErrorT expected, EFmErrorT code, const char *call, const char *file, int line) {
    if (code != expected) {
        char reason[512];
        fm_last_error_message(reason, sizeof reason);
        fprintf(stderr, "%s:%d: %s is %d (%s: %s), expected %d\n", file, line, call, (int)code,
                fm_strerror(code), reason, (int)expected);
        exit(1);
    }
}

static inline void copy_text(char *field, const char *text) {
    snprintf(field, FM_MAX_BUFFER_LENGTH, "%s", text);
}

/* An alarm as careless callers make it: what they do not set is what lay on the stack. */
static inline SFmAlarmDataT an_alarm(const char *entity, const char *reason) {
    SFmAlarmDataT alarm;
    copy_text(alarm.alarm_id, "100.103");
    alarm.alarm_state = FM_ALARM_STATE_SET;
    copy_text(alarm.entity_type_id, FM_ENTITY_TYPE_HOST);
    copy_text(alarm.entity_instance_id, entity);
    alarm.timestamp = 0;
    alarm.severity = FM_ALARM_SEVERITY_MAJOR;
    copy_text(alarm.reason_text, reason);
    alarm.alarm_type = FM_ALARM_EQUIPMENT;
    alarm.probable_cause = FM_ALARM_FILE_ERROR;
    copy_text(alarm.proposed_repair_action, "look at its log");
    alarm.service_affecting = FM_FALSE;
    alarm.suppression = FM_TRUE;
    alarm.inhibit_alarms = FM_FALSE;
    alarm.keep_existing_alarm = FM_FALSE;
    return alarm;
}

static inline AlarmFilter a_filter(const char *entity) {
    AlarmFilter filter;
    copy_text(filter.alarm_id, "100.103");
    copy_text(filter.entity_instance_id, entity);
    return filter;
}

/* Whether the reason of the last call begins with this text. */
static inline int reason_begins(const char *text) {
    char reason[512];
    fm_last_error_message(reason, sizeof reason);
    return strncmp(reason, text, strlen(text)) == 0;
}

#endif
