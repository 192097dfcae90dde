/* Forks before the first call, after it, in a line of generations, and while other threads are calling.
 * Parent and children both go on, and no answer goes to the wrong one. */

#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls that would not work on a connection with somebody else's answers. */
static void work(const char *who, int number) {
    char entity[64];
    for (int round = 0; round < 3; round++) {
        snprintf(entity, sizeof entity, "host=%s-%d-%d", who, number, round);
        SFmAlarmDataT alarm = an_alarm(entity, entity), found;
        AlarmFilter filter = a_filter(entity);
        EXPECT(FM_ERR_OK, fm_set_fault(&alarm, NULL));
        EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
        CHECK(strcmp(found.reason_text, entity) == 0);
        copy_text(alarm.reason_text, "later");
        EXPECT(FM_ERR_OK, fm_set_fault_async(&alarm, NULL));
        EXPECT(FM_ERR_OK, fm_get_fault(&filter, &found));
        CHECK(strcmp(found.reason_text, "later") == 0);
        EXPECT(FM_ERR_OK, fm_clear_fault_async(&filter));
    }
}

static void await(pid_t child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static pid_t child_that_works(const char *who, int number, void (*end)(int)) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        work(who, number);
        end(0);
    }
    return child;
}

static volatile int done;

static void *hammer(void *number) {
    while (!done) work("hammer", *(const int *)number);
    return NULL;
}

int main(void) {
    await(child_that_works("first", 0, exit));
    work("parent", 0);

    pid_t children[10];
    for (int i = 0; i < 10; i++) children[i] = child_that_works("child", i, exit);
    work("parent", 1);
    for (int i = 0; i < 10; i++) await(children[i]);

    /* A child of a child of a child, more of them than the library keeps lanes for. */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (int depth = 0; depth < 10; depth++) {
            work("generation", depth);
            pid_t next = fork();
            CHECK(next >= 0);
            if (next != 0) {
                await(next);
                exit(0);
            }
        }
        exit(0);
    }
    await(child);

    pthread_t threads[4];
    int numbers[4];
    for (int i = 0; i < 4; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, hammer, &numbers[i]) == 0);
    }
    /* These end without looking for leaks: what the threads had in hand is lost in the child. */
    for (int i = 0; i < 30; i++) await(child_that_works("amid", i, _exit));
    done = 1;
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    work("parent", 2);
    return 0;
}
