/* Callers that never stop: NAME THREADS SEED. Each thread sets, changes, clears and logs alarms of its own, one call
 * after the other, until standard input ends. Each call that has returned is one line:
 *
 *   THREAD RESULT REQUEST...    RESULT: ok, none (there is none to clear), failed:NAME
 *                               REQUEST: S<alarm>=<number> set, C<alarm> clear, A clear all, L<number> log
 */

#include <fmAPI.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALARMS = 4, MOST_IN_A_LIST = 3, LONGEST_PAUSE_US = 30000 };

static atomic_bool stopping;

struct thread {
    pthread_t id;
    char name[32];
    uint64_t random;
    unsigned number; /* of the last set or log */
};

/* xorshift64*, good enough for choosing. */
static unsigned below(struct thread *thread, unsigned limit) {
    thread->random ^= thread->random >> 12;
    thread->random ^= thread->random << 25;
    thread->random ^= thread->random >> 27;
    return (unsigned)((thread->random * 2685821657736338717u) >> 33) % limit;
}

static const char *alarm_id(unsigned alarm) { return alarm % 2 ? "700.001" : "100.103"; }

static SFmAlarmDataT an_alarm(struct thread *thread, unsigned alarm, const char *kind) {
    SFmAlarmDataT data;
    memset(&data, 0, sizeof data);
    snprintf(data.alarm_id, sizeof data.alarm_id, "%s", alarm_id(alarm));
    data.alarm_state = *kind ? FM_ALARM_STATE_MSG : FM_ALARM_STATE_SET;
    snprintf(data.entity_type_id, sizeof data.entity_type_id, "host");
    snprintf(data.entity_instance_id, sizeof data.entity_instance_id, "host=%s.disk=%u", thread->name, alarm);
    data.severity = FM_ALARM_SEVERITY_MAJOR;
    snprintf(data.reason_text, sizeof data.reason_text, "%s %s%u", thread->name, kind, ++thread->number);
    data.alarm_type = FM_ALARM_EQUIPMENT;
    data.probable_cause = FM_ALARM_CAUSE_UNKNOWN;
    return data;
}

static AlarmFilter a_filter(struct thread *thread, unsigned alarm) {
    AlarmFilter filter;
    memset(&filter, 0, sizeof filter);
    snprintf(filter.alarm_id, sizeof filter.alarm_id, "%s", alarm_id(alarm));
    snprintf(filter.entity_instance_id, sizeof filter.entity_instance_id, "host=%s.disk=%u", thread->name, alarm);
    return filter;
}

static void tell(struct thread *thread, EFmErrorT code, const char *requests) {
    if (code == FM_ERR_OK) {
        printf("%s ok%s\n", thread->name, requests);
    } else if (code == FM_ERR_ENTITY_NOT_FOUND) {
        printf("%s none%s\n", thread->name, requests);
    } else {
        const char *name = code == FM_ERR_NOCONNECT        ? "FM_ERR_NOCONNECT"
                           : code == FM_ERR_COMMUNICATIONS ? "FM_ERR_COMMUNICATIONS"
                                                           : "another_error";
        printf("%s failed:%s%s\n", thread->name, name, requests);
    }
}

static void call(struct thread *thread) {
    char requests[128] = "";
    size_t length = 0;
    SFmAlarmDataT alarms[MOST_IN_A_LIST];
    AlarmFilter filters[MOST_IN_A_LIST];
    unsigned alarm = below(thread, ALARMS), count = 1 + below(thread, MOST_IN_A_LIST), kind = below(thread, 100);
    if (kind < 45) {
        alarms[0] = an_alarm(thread, alarm, "");
        snprintf(requests, sizeof requests, " S%u=%u", alarm, thread->number);
        tell(thread, fm_set_fault(&alarms[0], NULL), requests);
    } else if (kind < 55) {
        for (unsigned i = 0; i < count; i++, alarm = (alarm + 1) % ALARMS) {
            alarms[i] = an_alarm(thread, alarm, "");
            length += (size_t)snprintf(requests + length, sizeof requests - length, " S%u=%u", alarm, thread->number);
        }
        tell(thread, fm_set_fault_array(alarms, count), requests);
    } else if (kind < 77) {
        filters[0] = a_filter(thread, alarm);
        snprintf(requests, sizeof requests, " C%u", alarm);
        tell(thread, fm_clear_fault(&filters[0]), requests);
    } else if (kind < 83) {
        for (unsigned i = 0; i < count; i++, alarm = (alarm + 1) % ALARMS) {
            filters[i] = a_filter(thread, alarm);
            length += (size_t)snprintf(requests + length, sizeof requests - length, " C%u", alarm);
        }
        tell(thread, fm_clear_fault_array(filters, count), requests);
    } else if (kind < 87) {
        fm_ent_inst_t entity;
        snprintf(entity, sizeof entity, "host=%s", thread->name);
        tell(thread, fm_clear_all(&entity), " A");
    } else {
        alarms[0] = an_alarm(thread, alarm, "log ");
        snprintf(requests, sizeof requests, " L%u", thread->number);
        tell(thread, fm_set_fault(&alarms[0], NULL), requests);
    }
}

static void *work(void *argument) {
    struct thread *thread = argument;
    while (!atomic_load(&stopping)) {
        call(thread);
        usleep(below(thread, LONGEST_PAUSE_US));
    }
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 4) return 64;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int threads = atoi(arguments[2]);
    struct thread *all = calloc((size_t)threads, sizeof *all);
    for (int i = 0; i < threads; i++) {
        snprintf(all[i].name, sizeof all[i].name, "%s-%d", arguments[1], i);
        all[i].random = strtoull(arguments[3], NULL, 10) * 2654435761u + (uint64_t)i * 40503u + 1;
        if (pthread_create(&all[i].id, NULL, work, &all[i]) != 0) return 70;
    }
    while (getchar() != EOF) {
    }
    atomic_store(&stopping, true);
    for (int i = 0; i < threads; i++) pthread_join(all[i].id, NULL);
    free(all);
    return 0;
}
