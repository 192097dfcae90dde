/* Preloaded into the agent: what its clock shows, whether its writes succeed and whether its disk hangs, is for a test to
 * say while it runs.
 *
 *   FM_DISTURB      a file with `struct orders`, written by the test at any moment
 *   FM_DISTURB_DIR  writes to files below this directory fail when the orders say so; an absolute path without
 *                   symbolic links
 *
 * Only the wall clock is moved: CLOCK_MONOTONIC and CLOCK_BOOTTIME go on as they do when an administrator sets the
 * time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct orders {
    int64_t clock_ahead_s; /* seconds that the wall clock is ahead; negative: behind */
    int64_t write_errno;   /* what writes fail with; 0: they succeed */
    int64_t sync_hangs;    /* flushes are held as long as this is not 0 */
    int64_t held;          /* flushes that were held, written by the agent */
};

static volatile struct orders *orders;
static const char *directory;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FM_DISTURB");
    directory = getenv("FM_DISTURB_DIR");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    int access = PROT_READ | PROT_WRITE;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct orders), access, MAP_SHARED, fd, 0);
    /* A test whose orders are not read would pass without having tested anything. */
    if (mapped == MAP_FAILED || !directory) abort();
    close(fd);
    orders = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && orders && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += orders->clock_ahead_s;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return (time_t)-1;
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}

static int is_below_directory(int fd) {
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = '\0';
    size_t depth = strlen(directory);
    return strncmp(path, directory, depth) == 0 && path[depth] == '/';
}

/* What a write to this file fails with; 0: it is done. */
static int failure(int fd) {
    int error = orders ? (int)orders->write_errno : 0;
    return error != 0 && is_below_directory(fd) ? error : 0;
}

#define UNLESS_FAILING(fd, call)                                                                                       \
    {                                                                                                                  \
        int error = failure(fd);                                                                                       \
        if (error == 0) return call;                                                                                   \
        errno = error;                                                                                                 \
        return -1;                                                                                                     \
    }

ssize_t write(int fd, const void *data, size_t length) UNLESS_FAILING(fd, syscall(SYS_write, fd, data, length))
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
    UNLESS_FAILING(fd, syscall(SYS_pwrite64, fd, data, length, offset))
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
    UNLESS_FAILING(fd, syscall(SYS_pwrite64, fd, data, length, offset))

static int allocated(int fd, off64_t from, off64_t length) {
    int error = failure(fd);
    if (error != 0) return error;
    return syscall(SYS_fallocate, fd, 0, from, length) == 0 ? 0 : errno;
}

int posix_fallocate(int fd, off_t from, off_t length) { return allocated(fd, from, length); }
int posix_fallocate64(int fd, off64_t from, off64_t length) { return allocated(fd, from, length); }

/* Returns when the disk answers. */
static void wait_for_disk(int fd) {
    if (orders && orders->sync_hangs && is_below_directory(fd)) {
        __atomic_add_fetch(&orders->held, 1, __ATOMIC_SEQ_CST);
        while (orders->sync_hangs) usleep(1000);
    }
}

int fsync(int fd) {
    wait_for_disk(fd);
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    wait_for_disk(fd);
    return (int)syscall(SYS_fdatasync, fd);
}
