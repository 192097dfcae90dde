/* Makes one kind of call over and over and prints the nanoseconds of each: caller set|get|clear LABEL COUNT. */
#include <stdlib.h>
#include <time.h>

#include "fmAPI.h"

static const char ALARM_ID[] = "100.103";

static void name(char *entity, const char *label, int number)
{
    snprintf(entity, FM_MAX_BUFFER_LENGTH, "host=compute-1.run=%s.process=%06d-000", label, number);
}

static EFmErrorT set(const char *label, int number)
{
    SFmAlarmDataT alarm;
    fm_uuid_t uuid;
    memset(&alarm, 0, sizeof alarm);
    strcpy(alarm.alarm_id, ALARM_ID);
    strcpy(alarm.entity_type_id, "host.process");
    name(alarm.entity_instance_id, label, number);
    strcpy(alarm.reason_text, "Memory threshold exceeded; threshold 80.00%, actual 86.42%");
    strcpy(alarm.proposed_repair_action, "Monitor and if condition persists, contact next level of support.");
    alarm.alarm_state = FM_ALARM_STATE_SET;
    alarm.severity = FM_ALARM_SEVERITY_MAJOR;
    alarm.alarm_type = FM_ALARM_OPERATIONAL;
    alarm.probable_cause = FM_ALARM_THRESHOLD_CROSSED;
    alarm.suppression = FM_TRUE;
    return fm_set_fault(&alarm, &uuid);
}

static EFmErrorT call(const char *what, const char *label, int number)
{
    AlarmFilter filter;
    SFmAlarmDataT found;
    if (strcmp(what, "set") == 0)
        return set(label, number);
    strcpy(filter.alarm_id, ALARM_ID);
    name(filter.entity_instance_id, label, number);
    return strcmp(what, "get") == 0 ? fm_get_fault(&filter, &found) : fm_clear_fault(&filter);
}

int main(int argc, char **argv)
{
    struct timespec from, to;
    int count = argc == 4 ? atoi(argv[3]) : 0;
    /* The first call, which connects, is not counted. */
    fm_set_timeout_ms(120000, 120000);
    set("first", 0);
    for (int number = 0; number < count; number++) {
        clock_gettime(CLOCK_MONOTONIC, &from);
        EFmErrorT code = call(argv[1], argv[2], number);
        clock_gettime(CLOCK_MONOTONIC, &to);
        if (code != FM_ERR_OK) {
            fprintf(stderr, "%s %d: %s\n", argv[1], number, fm_strerror(code));
            return 1;
        }
        printf("%lld\n", (to.tv_sec - from.tv_sec) * 1000000000LL + (to.tv_nsec - from.tv_nsec));
    }
    return count == 0;
}
