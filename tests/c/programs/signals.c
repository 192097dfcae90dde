/* Calls in a storm of signals that interrupt every wait. Handlers, dispositions and errno stay the
 * caller's. */

#define _GNU_SOURCE
#include "check.h"

#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t signals;

static void count(int number) {
    (void)number;
    signals++;
}

int main(void) {
    struct sigaction before[NSIG], after;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = count;
    /* Without SA_RESTART. */
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    for (int i = 1; i < NSIG; i++) before[i].sa_handler = SIG_ERR, sigaction(i, NULL, &before[i]);

    struct itimerval storm = {{0, 300}, {0, 300}}, calm = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &storm, NULL) == 0);
    SFmAlarmDataT alarm = an_alarm("host=s-1", "up"), found;
    AlarmFilter filter = a_filter("host=s-1");
    for (int i = 0; i < 200; i++) {
        errno = 77;
        EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
        EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
        EXPECT(FM_ERR_OK, fm_set_fault_async(&alarm, NULL));
        EXPECT(FM_ERR_OK, fm_clear_fault(&filter));
        EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_fault(&filter, &found));
        EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_fault(NULL));
        CHECK(errno == 77);
    }
    CHECK(setitimer(ITIMER_REAL, &calm, NULL) == 0);
    CHECK(signals > 0);
    for (int i = 1; i < NSIG; i++) {
        after.sa_handler = SIG_ERR;
        sigaction(i, NULL, &after);
        CHECK(after.sa_handler == before[i].sa_handler);
    }
    return 0;
}
