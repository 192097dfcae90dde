/* Preloaded into the agent: the calls that give files away fail, as under a filter that has no place for them. */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

static int refused(void) {
    errno = EPERM;
    return -1;
}

int chown(const char *path, uid_t owner, gid_t group) {
    (void)path, (void)owner, (void)group;
    return refused();
}

int lchown(const char *path, uid_t owner, gid_t group) {
    (void)path, (void)owner, (void)group;
    return refused();
}

int fchown(int fd, uid_t owner, gid_t group) {
    (void)fd, (void)owner, (void)group;
    return refused();
}

int fchownat(int directory, const char *path, uid_t owner, gid_t group, int flags) {
    (void)directory, (void)path, (void)owner, (void)group, (void)flags;
    return refused();
}
