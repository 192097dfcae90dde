/* Sizes and offsets that callers were compiled with. C99, C11, C++11 and C++20 alike. */

#include <fmAPI.h>
#include <fmAlarm.h>

#include <stddef.h>

#define HOLDS(name, condition) typedef char holds_##name[(condition) ? 1 : -1]
#define AT(field, offset) HOLDS(field, offsetof(SFmAlarmDataT, field) == (offset))

struct alarm_after_a_byte {
    char byte;
    SFmAlarmDataT alarm;
};

struct filter_after_a_byte {
    char byte;
    AlarmFilter filter;
};

HOLDS(alarm_size, sizeof(SFmAlarmDataT) == 1568);
HOLDS(alarm_alignment, offsetof(struct alarm_after_a_byte, alarm) == 8);
HOLDS(filter_size, sizeof(AlarmFilter) == 510);
HOLDS(filter_alignment, offsetof(struct filter_after_a_byte, filter) == 1);
HOLDS(filter_entity, offsetof(AlarmFilter, entity_instance_id) == 255);
AT(uuid, 0);
AT(alarm_id, 255);
AT(alarm_state, 512);
AT(entity_type_id, 516);
AT(entity_instance_id, 771);
AT(timestamp, 1032);
AT(severity, 1040);
AT(reason_text, 1044);
AT(alarm_type, 1300);
AT(probable_cause, 1304);
AT(proposed_repair_action, 1308);
AT(service_affecting, 1563);
AT(suppression, 1564);
AT(inhibit_alarms, 1565);
AT(keep_existing_alarm, 1566);
HOLDS(time_size, sizeof(FMTimeT) == 8);
HOLDS(bool_size, sizeof(FMBoolTypeT) == 1);
HOLDS(uuid_size, sizeof(fm_uuid_t) == 255);
HOLDS(entity_size, sizeof(fm_ent_inst_t) == 255);
HOLDS(id_size, sizeof(fm_alarm_id) == 255);
HOLDS(state_size, sizeof(EFmAlarmStateT) == 4);
HOLDS(severity_size, sizeof(EFmAlarmSeverityT) == 4);
HOLDS(type_size, sizeof(EFmAlarmTypeT) == 4);
HOLDS(cause_size, sizeof(EFmAlarmProbableCauseT) == 4);
HOLDS(error_size, sizeof(EFmErrorT) == 4);
HOLDS(buffer_length, FM_MAX_BUFFER_LENGTH == 255);
HOLDS(truth, FM_TRUE == 1 && FM_FALSE == 0);

int main(void) {
    /* What the header brings along, as callers rely on it. */
    errno = 0;
    return DEF_MAX_ALARMS == 1000 && strlen(FM_ALARM_ID_MTC_LOCK) == 7 && printf("fits\n") > 0 ? 0 : 1;
}
