/* 64 threads at once, each with an entity of its own and all calls in turn. */

#include "check.h"

#include <pthread.h>

enum { THREADS = 64, ROUNDS = 5 };

static void *work(void *number) {
    char entity[64];
    snprintf(entity, sizeof entity, "host=t-%d", *(const int *)number);
    AlarmFilter filter = a_filter(entity);
    for (int round = 0; round < ROUNDS; round++) {
        char reason[64];
        snprintf(reason, sizeof reason, "round %d", round);
        SFmAlarmDataT alarm = an_alarm(entity, reason), found;
        fm_uuid_t uuid;
        if (round % 2) {
            EXPECT(FM_ERR_OK, fm_set_fault_async(&alarm, &uuid));
        } else {
            EXPECT(FM_ERR_OK, fm_set_fault(&alarm, &uuid));
        }
        EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
        CHECK(strcmp(found.reason_text, reason) == 0);
        /* Each thread has a last message of its own. */
        EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault(NULL, NULL));
        CHECK(reason_begins("alarm: is NULL"));
        if (round % 2) {
            EXPECT(FM_ERR_OK, fm_clear_fault_async(&filter));
        } else {
            EXPECT(FM_ERR_OK, fm_clear_fault(&filter));
        }
        EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filter, &found));
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
