/* Sends without waiting for answers until the agent's socket is full, as its standard input says when the
 * agent stands still and when it goes on. Prints how many went in, what the call then answered, and how long
 * it took. */

#include "check.h"

#include <time.h>
#include <unistd.h>

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static EFmErrorT send_one(int number) {
    char reason[16];
    snprintf(reason, sizeof reason, "%d", number);
    SFmAlarmDataT alarm = an_alarm("host=full", reason);
    return fm_set_fault_async(&alarm, NULL);
}

static void told_to_go_on(const char *word) {
    puts(word);
    fflush(stdout);
    char byte;
    CHECK(read(0, &byte, 1) == 1);
}

int main(void) {
    int sent = 0;
    EXPECT(FM_ERR_OK, send_one(sent++));
    told_to_go_on("connected");
    long long begun;
    EFmErrorT code;
    do {
        begun = now_ms();
        code = send_one(sent);
    } while (code == FM_ERR_OK && ++sent < 100000);
    printf("%d\t%d\t%lld\n", sent, (int)code, now_ms() - begun);
    told_to_go_on("full");
    EXPECT(FM_ERR_OK, send_one(sent));
    AlarmFilter filter = a_filter("host=full");
    SFmAlarmDataT found;
    EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
    CHECK(atoi(found.reason_text) == sent);
    return 0;
}
