/* Preloaded into the agent: writes down what it does to the files below one directory, in order.
 *
 *   FM_RECORD_DIR   the directory; an absolute path without symbolic links
 *   FM_RECORD_LOG   where the records go; appended to, outside of that directory
 *   FM_RECORD_KILL  SUFFIX:N  dies by SIGKILL at the Nth write to a file whose path ends so, before the write
 *
 * A record stands in the log only after the operation has returned, so an fsync that is there has been done.
 * One mutex goes around each operation and its record: the log's order is the order in which things happened.
 * Shared memory (-shm) is left out: it is rebuilt at each start. The layout of a record is `struct record`, then
 * the path (and for a rename, NUL and the new path), then the data.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR };

struct record {
    uint32_t kind;
    uint32_t path_length;
    uint64_t began_at; /* microseconds since the epoch, before the operation */
    uint64_t offset;   /* of a write; the new length of a truncation */
    uint64_t length;   /* of the data */
};

enum { FILES = 4096 };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char *paths[FILES];
static const char *directory, *kill_suffix;
static long kill_at, kill_seen;
static int log_file = -1;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("FM_RECORD_LOG"), *order = getenv("FM_RECORD_KILL");
    directory = getenv("FM_RECORD_DIR");
    if (order) {
        char *copy = strdup(order), *colon = strchr(copy, ':');
        if (!colon) abort();
        *colon = '\0';
        kill_suffix = copy;
        kill_at = atol(colon + 1);
    }
    if (log) {
        log_file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (log_file < 0) abort();
    }
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static int concerns(const char *path) {
    size_t length = directory ? strlen(directory) : 0;
    return length && path && strncmp(path, directory, length) == 0 && (path[length] == '/' || !path[length]) &&
           !ends_with(path, "-shm");
}

static const char *path_of(int fd) { return fd >= 0 && fd < FILES ? paths[fd] : NULL; }

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

static void record(enum kind kind, uint64_t began_at, const char *path, const char *to, uint64_t offset,
                   const void *data, size_t length) {
    if (log_file < 0) return;
    char names[2 * PATH_MAX + 2];
    int name_length = snprintf(names, sizeof names, "%s", path);
    if (to) name_length += 1 + snprintf(names + name_length + 1, PATH_MAX, "%s", to);
    struct record head = {kind, (uint32_t)name_length, began_at, offset, length};
    struct iovec parts[3] = {{&head, sizeof head}, {names, (size_t)name_length}, {(void *)data, length}};
    size_t whole = sizeof head + (size_t)name_length + length;
    if ((size_t)syscall(SYS_writev, log_file, parts, 3) != whole) abort();
}

static int opened(int fd, const char *path, int existed, uint64_t began_at, int flags) {
    if (fd < 0 || fd >= FILES || !concerns(path)) return fd;
    free(paths[fd]);
    paths[fd] = strdup(path);
    if (!existed) record(CREATE, began_at, path, NULL, 0, NULL, 0);
    if (existed && (flags & O_TRUNC)) record(TRUNCATE, began_at, path, NULL, 0, NULL, 0);
    return fd;
}

#define OPEN(name, at, ...)                                                    \
    {                                                                          \
        mode_t mode = 0;                                                       \
        if (flags & (O_CREAT | O_TMPFILE)) {                                   \
            va_list rest;                                                      \
            va_start(rest, flags);                                             \
            mode = va_arg(rest, mode_t);                                       \
            va_end(rest);                                                      \
        }                                                                      \
        pthread_mutex_lock(&turn);                                             \
        struct stat before;                                                    \
        int existed = fstatat(at, path, &before, 0) == 0, error = errno;       \
        uint64_t began_at = now();                                             \
        int fd = REAL(name)(__VA_ARGS__, flags, mode);                         \
        error = errno;                                                         \
        fd = opened(fd, path, existed, began_at, flags);                       \
        pthread_mutex_unlock(&turn);                                           \
        errno = error;                                                         \
        return fd;                                                             \
    }

int open(const char *path, int flags, ...) OPEN(open, AT_FDCWD, path)
int open64(const char *path, int flags, ...) OPEN(open64, AT_FDCWD, path)
int openat(int at, const char *path, int flags, ...) OPEN(openat, at, at, path)
int openat64(int at, const char *path, int flags, ...) OPEN(openat64, at, at, path)

int close(int fd) {
    pthread_mutex_lock(&turn);
    if (path_of(fd)) {
        free(paths[fd]);
        paths[fd] = NULL;
    }
    int result = REAL(close)(fd), error = errno;
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

static void maybe_die(const char *path) {
    if (kill_suffix && ends_with(path, kill_suffix) && ++kill_seen == kill_at) {
        raise(SIGKILL);
        for (;;) pause();
    }
}

static ssize_t written(int fd, const void *data, size_t length, off64_t offset) {
    pthread_mutex_lock(&turn);
    maybe_die(paths[fd]);
    uint64_t began_at = now();
    ssize_t result = syscall(SYS_pwrite64, fd, data, length, offset);
    int error = errno;
    if (result > 0) record(WRITE, began_at, paths[fd], NULL, (uint64_t)offset, data, (size_t)result);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    return path_of(fd) ? written(fd, data, length, offset) : REAL(pwrite)(fd, data, length, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    return path_of(fd) ? written(fd, data, length, offset) : REAL(pwrite64)(fd, data, length, offset);
}

ssize_t write(int fd, const void *data, size_t length) {
    if (!path_of(fd)) return REAL(write)(fd, data, length);
    off64_t offset = lseek64(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t result = written(fd, data, length, offset);
    if (result > 0) lseek64(fd, offset + result, SEEK_SET);
    return result;
}

/* One wrapper for each operation that has only to be told after it. */
#define TOLD(concerned, call, told)                   \
    {                                                 \
        if (!(concerned)) return call;                \
        pthread_mutex_lock(&turn);                    \
        uint64_t began_at = now();                    \
        int result = call, error = errno;             \
        if (result == 0) told;                        \
        pthread_mutex_unlock(&turn);                  \
        errno = error;                                \
        return result;                                \
    }

int ftruncate(int fd, off_t length)
    TOLD(path_of(fd), REAL(ftruncate)(fd, length),
         record(TRUNCATE, began_at, paths[fd], NULL, (uint64_t)length, NULL, 0))
int ftruncate64(int fd, off64_t length)
    TOLD(path_of(fd), REAL(ftruncate64)(fd, length),
         record(TRUNCATE, began_at, paths[fd], NULL, (uint64_t)length, NULL, 0))
int fsync(int fd) TOLD(path_of(fd), REAL(fsync)(fd), record(SYNC, began_at, paths[fd], NULL, 0, NULL, 0))
int fdatasync(int fd) TOLD(path_of(fd), REAL(fdatasync)(fd), record(SYNC, began_at, paths[fd], NULL, 0, NULL, 0))
int unlink(const char *path)
    TOLD(concerns(path), REAL(unlink)(path), record(UNLINK, began_at, path, NULL, 0, NULL, 0))
int mkdir(const char *path, mode_t mode)
    TOLD(concerns(path), REAL(mkdir)(path, mode), record(MKDIR, began_at, path, NULL, 0, NULL, 0))
int rename(const char *from, const char *to)
    TOLD(concerns(from), REAL(rename)(from, to), record(RENAME, began_at, from, to, 0, NULL, 0))

/* Space that is taken ahead is there as zeros, and told by the length that it gives. */
static void grown(int fd, uint64_t began_at) {
    struct stat after;
    if (fstat(fd, &after) == 0) record(TRUNCATE, began_at, paths[fd], NULL, (uint64_t)after.st_size, NULL, 0);
}

int posix_fallocate(int fd, off_t from, off_t length)
    TOLD(path_of(fd), REAL(posix_fallocate)(fd, from, length), grown(fd, began_at))
int posix_fallocate64(int fd, off64_t from, off64_t length)
    TOLD(path_of(fd), REAL(posix_fallocate64)(fd, from, length), grown(fd, began_at))

/* What the recorder does not know must not go unnoticed. */
#define UNKNOWN(concerned, call)                                         \
    {                                                                    \
        if (concerned) {                                                 \
            fprintf(stderr, "record.c does not know %s: add it\n", #call); \
            abort();                                                     \
        }                                                                \
        return call;                                                     \
    }

int fallocate(int fd, int mode, off_t from, off_t length) UNKNOWN(path_of(fd), REAL(fallocate)(fd, mode, from, length))
int fallocate64(int fd, int mode, off64_t from, off64_t length)
    UNKNOWN(path_of(fd), REAL(fallocate64)(fd, mode, from, length))
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
    UNKNOWN(path_of(fd), REAL(pwritev)(fd, parts, count, offset))
ssize_t writev(int fd, const struct iovec *parts, int count) UNKNOWN(path_of(fd), REAL(writev)(fd, parts, count))
int link(const char *from, const char *to) UNKNOWN(concerns(to), REAL(link)(from, to))
int dup(int fd) UNKNOWN(path_of(fd), REAL(dup)(fd))
int dup2(int fd, int to) UNKNOWN(path_of(fd) || path_of(to), REAL(dup2)(fd, to))
int unlinkat(int at, const char *path, int flags) UNKNOWN(concerns(path), REAL(unlinkat)(at, path, flags))
int renameat(int from_at, const char *from, int to_at, const char *to)
    UNKNOWN(concerns(from), REAL(renameat)(from_at, from, to_at, to))
