/* What the library opens: nothing at load, nothing that an executed program would inherit, and it works when
 * all descriptors below 1024 are in use. */

#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static unsigned entries(const char *path) {
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    unsigned count = 0;
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count;
}

int main(int argc, char **argv) {
    unsigned at_load = entries("/proc/self/fd");
    if (argc > 1) {
        CHECK(at_load == (unsigned)atoi(argv[1]));
        return 0;
    }
    CHECK(entries("/proc/self/task") == 2 + 1);

    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 2048;
    CHECK(limit.rlim_max >= 2048 && setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int last;
    do {
        last = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK(last >= 0);
    } while (last < 1100);

    SFmAlarmDataT alarm = an_alarm("host=f-1", "up"), found;
    AlarmFilter filter = a_filter("host=f-1");
    EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
    EXPECT(FM_ERR_OK, fm_set_fault_async(&alarm, NULL));
    EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
    EXPECT(FM_ERR_OK, fm_clear_fault(&filter));
    CHECK(entries("/proc/self/fd") > at_load + 1000);
    CHECK(entries("/proc/self/task") == 2 + 1);

    char number[16];
    snprintf(number, sizeof number, "%u", at_load);
    execl("/proc/self/exe", argv[0], number, (char *)NULL);
    return 1;
}
