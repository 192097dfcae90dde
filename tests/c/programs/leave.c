/* Ends while its threads are calling. */

#include "check.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int calling;

static void *hammer(void *number) {
    char entity[64];
    snprintf(entity, sizeof entity, "host=leave-%d", *(const int *)number);
    SFmAlarmDataT alarm = an_alarm(entity, "up");
    AlarmFilter filter = a_filter(entity);
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
    pthread_mutex_lock(&lock);
    calling++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    for (;;) {
        fm_set_fault(&alarm, NULL);
        fm_set_fault_async(&alarm, NULL);
        fm_clear_fault(&filter);
    }
    return NULL;
}

int main(void) {
    enum { THREADS = 8 };
    static int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        numbers[i] = i;
        CHECK(pthread_create(&thread, NULL, hammer, &numbers[i]) == 0);
    }
    pthread_mutex_lock(&lock);
    while (calling < THREADS) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return 0;
}
