/* Prints the alarm 100.103 of the entity in its argument as a C caller sees it. */

#include "check.h"

int main(int argc, char **argv) {
    CHECK(argc == 2);
    AlarmFilter filter = a_filter(argv[1]);
    SFmAlarmDataT found;
    EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
    printf("%d\t%d\t%d\t%d\t%llu\t%s\t%s\n", (int)found.alarm_state, (int)found.severity, (int)found.alarm_type,
           (int)found.probable_cause, found.timestamp, found.entity_instance_id, found.reason_text);
    return 0;
}
