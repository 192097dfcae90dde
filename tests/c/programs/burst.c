/* Raises one alarm as often as the first argument says without waiting for answers, and ends at once. With
 * "first" it says so and waits for its standard input once the first is sent, with "last" once all
 * are. */

#include "check.h"

#include <unistd.h>

static void wait_for_input(void) {
    puts("connected");
    fflush(stdout);
    char byte;
    CHECK(read(0, &byte, 1) == 1);
}

int main(int argc, char **argv) {
    CHECK(argc > 1);
    int count = atoi(argv[1]);
    for (int i = 0; i < count; i++) {
        char reason[16];
        snprintf(reason, sizeof reason, "%d", i);
        SFmAlarmDataT alarm = an_alarm("host=burst", reason);
        EXPECT(FM_ERR_OK, fm_set_fault_async(&alarm, NULL));
        if (i == 0 && argc > 2 && !strcmp(argv[2], "first")) wait_for_input();
    }
    if (argc > 2 && !strcmp(argv[2], "last")) wait_for_input();
    _exit(0);
}
