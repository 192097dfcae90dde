/* Makes the calls of its arguments ("short" sets short deadlines) and prints code, time and reason of each,
 * with SIGPIPE and errno as the system gives them. For agents that answer badly or not at all. */

#include "check.h"

#include <time.h>

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int main(int argc, char **argv) {
    CHECK(argc > 1);
    fm_ent_inst_t entity;
    fm_alarm_id id;
    copy_text(entity, "host=c-1");
    copy_text(id, "100.103");
    SFmAlarmDataT alarm = an_alarm("host=c-1", "up"), found[4];
    AlarmFilter filter = a_filter("host=c-1");
    unsigned int max = 4;
    for (int i = 1; i < argc; i++) {
        const char *call = argv[i];
        long long begun = now_ms();
        EFmErrorT code = FM_ERR_MAX;
        errno = 77;
        if (!strcmp(call, "short")) code = fm_set_timeout_ms(50, 100);
        if (!strcmp(call, "set")) code = fm_set_fault(&alarm, NULL);
        if (!strcmp(call, "set_array")) code = fm_set_fault_array(&alarm, 1);
        if (!strcmp(call, "clear")) code = fm_clear_fault(&filter);
        if (!strcmp(call, "clear_array")) code = fm_clear_fault_array(&filter, 1);
        if (!strcmp(call, "clear_all")) code = fm_clear_all(&entity);
        if (!strcmp(call, "get")) code = fm_get_fault(&filter, found);
        if (!strcmp(call, "get_faults")) code = fm_get_faults(&entity, found, &max);
        if (!strcmp(call, "get_by_id")) code = fm_get_faults_by_id(&id, found, &max);
        if (!strcmp(call, "get_by_both")) code = fm_get_faults_by_id_n_eid(&filter, found, &max);
        if (!strcmp(call, "set_async")) code = fm_set_fault_async(&alarm, NULL);
        if (!strcmp(call, "clear_async")) code = fm_clear_fault_async(&filter);
        if (!strcmp(call, "clear_all_async")) code = fm_clear_all_async(&entity);
        CHECK(errno == 77);
        CHECK(code != FM_ERR_MAX);
        char reason[512];
        fm_last_error_message(reason, sizeof reason);
        printf("%s\t%d\t%lld\t%s\n", call, (int)code, now_ms() - begun, reason);
        fflush(stdout);
    }
    return 0;
}
