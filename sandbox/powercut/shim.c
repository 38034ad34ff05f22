/* Power cuts for programs that do not know of them: preloaded, it counts every change of the files below one folder, ends
 * all programs at a given one, and keeps what is needed to take back whatever had not been synced by then.
 *
 *   POWERCUT_ROOT    the folder; an absolute path without links in it
 *   POWERCUT_STATE   a file of 4096 zeros, shared by all programs of one run (struct state below)
 *   POWERCUT_SHADOW  an empty folder on the same file system, for what must be taken back; absent: nothing is lost
 *
 * A change is an open that creates, a write, a truncation, a rename, link, symbolic link, removal, new folder or sync. The
 * program that makes change number `cut_at` does not make it: from then on every program of the run ends, by SIGKILL, at
 * its next change. What POSIX promises is all that is kept: file content since the last fsync of the file, and
 * names since the last fsync of their folder, are taken back (see take_back in powercut.rs for the other half).
 *
 * From change number `stop_from` on, every change waits before it is made until `go` has come to its number: so long nothing
 * below the folder changes, and whoever waits for it in `stopped` sees what a cut at this change would leave.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct state {
    _Atomic uint64_t changes; /* made so far */
    _Atomic uint64_t cut_at;  /* the change at which the power goes; 0: never */
    _Atomic uint32_t dark;    /* 1 from then on */
    _Atomic uint32_t lock;    /* thread id of the holder */
    _Atomic uint64_t serial;  /* numbers what is kept in the shadow */
    _Atomic uint64_t stop_from; /* the first change that waits; 0: none does */
    _Atomic uint64_t stopped; /* the change that waits */
    _Atomic uint64_t go;      /* the last change that need not wait */
};

static struct state *state;
static char root[PATH_MAX];
static size_t root_length;
static char shadow[PATH_MAX];
static __thread int inside;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("POWERCUT_ROOT"), *file = getenv("POWERCUT_STATE"), *keep = getenv("POWERCUT_SHADOW");
    if (!folder || !file) return;
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (memory == MAP_FAILED) return;
    root_length = strlen(folder);
    if (root_length >= sizeof root || (keep && strlen(keep) >= sizeof shadow - 64)) return;
    strcpy(root, folder);
    if (keep) strcpy(shadow, keep);
    state = memory;
}

static void darkness(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static void take_lock(void) {
    uint32_t me = (uint32_t)syscall(SYS_gettid), nobody = 0;
    while (!atomic_compare_exchange_weak(&state->lock, &nobody, me)) {
        /* Who was killed from outside with the lock in hand never gives it back. */
        if (nobody != 0 && syscall(SYS_tgkill, nobody, nobody, 0) < 0 && errno == ESRCH && syscall(SYS_kill, nobody, 0) < 0)
            atomic_compare_exchange_strong(&state->lock, &nobody, 0);
        nobody = 0;
        if (atomic_load(&state->dark)) darkness();
        usleep(50);
    }
}

static void give_lock(void) { atomic_store(&state->lock, 0); }

/* The absolute path of a name, whose last part need not exist. */
static int absolute(int folder, const char *name, char *path) {
    char whole[PATH_MAX];
    if (name[0] == '/') {
        if (strlen(name) >= sizeof whole) return 0;
        strcpy(whole, name);
    } else {
        char link[64], base[PATH_MAX];
        if (folder == AT_FDCWD) strcpy(link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length <= 0) return 0;
        base[length] = 0;
        if ((size_t)snprintf(whole, sizeof whole, "%s/%s", base, name) >= sizeof whole) return 0;
    }
    char *last = strrchr(whole, '/');
    while (last > whole && last[1] == 0) { *last = 0; last = strrchr(whole, '/'); }
    char parent[PATH_MAX];
    *last = 0;
    if (!realpath(last == whole ? "/" : whole, parent)) return 0;
    return (size_t)snprintf(path, PATH_MAX, "%s/%s", parent, last + 1) < PATH_MAX;
}

static int below_root(const char *path) {
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0 || path[0] != '/') return 0;
    path[length] = 0;
    return below_root(path);
}

/* Counts a change. With the lock in hand when it returns, so that the change and what is noted of it are one. */
static void change(void) {
    take_lock();
    if (atomic_load(&state->dark)) darkness();
    uint64_t number = atomic_fetch_add(&state->changes, 1) + 1, from = atomic_load(&state->stop_from);
    if (from && number >= from) {
        atomic_store(&state->stopped, number);
        while (atomic_load(&state->go) < number) usleep(100);
    }
    if (number == atomic_load(&state->cut_at)) {
        atomic_store(&state->dark, 1);
        darkness();
    }
}

static void note(const char *what, const char *first, const char *second, const char *kept) {
    char line[3 * PATH_MAX + 64], log[PATH_MAX];
    if (!shadow[0]) return;
    snprintf(log, sizeof log, "%s/log", shadow);
    int length = snprintf(line, sizeof line, "%s\t%s\t%s\t%s\n", what, first, second, kept);
    int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        syscall(SYS_write, fd, line, length);
        syscall(SYS_close, fd);
    }
}

static int inode_name(int fd, const char *path, char *name) {
    struct stat about;
    if ((fd >= 0 ? fstat(fd, &about) : lstat(path, &about)) < 0) return 0;
    snprintf(name, PATH_MAX, "%s/content-%llu", shadow, (unsigned long long)about.st_ino);
    return S_ISREG(about.st_mode);
}

/* Keeps the content of a file as it was at its last sync. Where the program has it open for reading too, it is read
 * there: closing another descriptor of a file gives up all locks that the program has on it (fcntl(2)), and with them
 * a database that others use at the same time. */
static void keep_content(int fd, const char *path) {
    char copy[PATH_MAX], buffer[65536];
    if (!shadow[0] || !inode_name(fd, path, copy) || syscall(SYS_faccessat, AT_FDCWD, copy, F_OK) == 0) return;
    int readable = fd >= 0 && (syscall(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_RDWR;
    int in = readable ? fd : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    int out = syscall(SYS_openat, AT_FDCWD, copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t got;
    off_t place = 0;
    while (in >= 0 && out >= 0 && (got = syscall(SYS_pread64, in, buffer, sizeof buffer, place)) > 0) {
        syscall(SYS_write, out, buffer, got);
        place += got;
    }
    if (in >= 0 && !readable) syscall(SYS_close, in);
    if (out >= 0) syscall(SYS_close, out);
    note("content", path, "", copy);
}

static void keep_empty(const char *path) {
    char copy[PATH_MAX];
    if (!shadow[0] || !inode_name(-1, path, copy) || syscall(SYS_faccessat, AT_FDCWD, copy, F_OK) == 0) return;
    int out = syscall(SYS_openat, AT_FDCWD, copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out >= 0) syscall(SYS_close, out);
    note("content", path, "", copy);
}

/* Keeps what a name stands for, by one more name of it. */
static void keep_name(const char *path, char *kept) {
    kept[0] = 0;
    struct stat about;
    if (!shadow[0] || lstat(path, &about) < 0) return;
    snprintf(kept, PATH_MAX, "%s/name-%llu", shadow, (unsigned long long)atomic_fetch_add(&state->serial, 1));
    if (S_ISLNK(about.st_mode)) {
        char target[PATH_MAX];
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0) return;
        target[length] = 0;
        syscall(SYS_symlinkat, target, AT_FDCWD, kept);
    } else if (S_ISDIR(about.st_mode)) {
        /* Only empty folders can be removed or replaced. */
        syscall(SYS_mkdirat, AT_FDCWD, kept, about.st_mode & 07777);
    } else {
        syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, kept, 0);
    }
}

static void synced(int fd, const char *path) {
    struct stat about;
    char copy[PATH_MAX];
    if (!shadow[0] || fstat(fd, &about) < 0) return;
    if (S_ISDIR(about.st_mode)) {
        note("folder-synced", path, "", "");
    } else if (inode_name(fd, path, copy)) {
        syscall(SYS_unlinkat, AT_FDCWD, copy, 0);
        note("content-synced", path, "", copy);
    }
}

/* Calls on open files. */
#define ON_FILE(call, before, after)                                   \
    char path[PATH_MAX];                                               \
    if (!state || inside || !path_of(fd, path)) return call;           \
    inside = 1;                                                        \
    change();                                                          \
    before;                                                            \
    __typeof__(call) result = call;                                    \
    int kept_errno = errno;                                            \
    if (result >= 0) { after; }                                        \
    give_lock();                                                       \
    inside = 0;                                                        \
    errno = kept_errno;                                                \
    return result;

ssize_t write(int fd, const void *buffer, size_t count) { ON_FILE(REAL(write)(fd, buffer, count), keep_content(fd, path), ) }
ssize_t pwrite(int fd, const void *buffer, size_t count, off_t place) { ON_FILE(REAL(pwrite)(fd, buffer, count, place), keep_content(fd, path), ) }
ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t place) { ON_FILE(REAL(pwrite64)(fd, buffer, count, place), keep_content(fd, path), ) }
ssize_t writev(int fd, const struct iovec *pieces, int count) { ON_FILE(REAL(writev)(fd, pieces, count), keep_content(fd, path), ) }
int ftruncate(int fd, off_t length) { ON_FILE(REAL(ftruncate)(fd, length), keep_content(fd, path), ) }
int ftruncate64(int fd, off64_t length) { ON_FILE(REAL(ftruncate64)(fd, length), keep_content(fd, path), ) }
int fsync(int fd) { ON_FILE(REAL(fsync)(fd), , synced(fd, path)) }
int fdatasync(int fd) { ON_FILE(REAL(fdatasync)(fd), , synced(fd, path)) }
ssize_t copy_file_range(int from, off64_t *from_place, int fd, off64_t *place, size_t count, unsigned flags) {
    ON_FILE(REAL(copy_file_range)(from, from_place, fd, place, count, flags), keep_content(fd, path), )
}
ssize_t sendfile(int fd, int from, off_t *place, size_t count) { ON_FILE(REAL(sendfile)(fd, from, place, count), keep_content(fd, path), ) }
ssize_t sendfile64(int fd, int from, off64_t *place, size_t count) { ON_FILE(REAL(sendfile64)(fd, from, place, count), keep_content(fd, path), ) }

/* Opening: creates a name, or empties a file. */
static int opening(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int changes = flags & (O_CREAT | O_TRUNC);
    if (!state || inside || !changes || !absolute(folder, name, path) || !below_root(path))
        return syscall(SYS_openat, folder, name, flags, mode);
    struct stat about;
    int there = lstat(path, &about) == 0;
    if (there && !(flags & O_TRUNC)) return syscall(SYS_openat, folder, name, flags, mode);
    inside = 1;
    change();
    if (there) keep_content(-1, path);
    int fd = syscall(SYS_openat, folder, name, flags, mode);
    int kept_errno = errno;
    if (fd >= 0 && !there) {
        note("created", path, "", "");
        keep_empty(path);
    }
    give_lock();
    inside = 0;
    errno = kept_errno;
    return fd;
}

#define MODE                                    \
    mode_t mode = 0;                            \
    if (flags & (O_CREAT | O_TMPFILE)) {        \
        va_list rest;                           \
        va_start(rest, flags);                  \
        mode = va_arg(rest, mode_t);            \
        va_end(rest);                           \
    }
int open(const char *name, int flags, ...) { MODE return opening(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE return opening(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE return opening(folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE return opening(folder, name, flags | O_LARGEFILE, mode); }

/* Calls on names. */
#define ON_NAME(folder, name, call, before, after)                                                      \
    char path[PATH_MAX], kept[PATH_MAX] __attribute__((unused)) = "";                                                         \
    if (!state || inside || !absolute(folder, name, path) || !below_root(path)) return call;            \
    inside = 1;                                                                                         \
    change();                                                                                           \
    before;                                                                                             \
    int result = call;                                                                                  \
    int kept_errno = errno;                                                                             \
    if (result == 0) { after; }                                                                         \
    give_lock();                                                                                        \
    inside = 0;                                                                                         \
    errno = kept_errno;                                                                                 \
    return result;

static int renaming(int from_folder, const char *from_name, int folder, const char *name, unsigned flags) {
    char from[PATH_MAX] = "";
    absolute(from_folder, from_name, from);
    ON_NAME(folder, name, (int)syscall(SYS_renameat2, from_folder, from_name, folder, name, flags), keep_name(path, kept),
            note("renamed", from, path, kept))
}
int rename(const char *from, const char *to) { return renaming(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_folder, const char *from, int folder, const char *to) { return renaming(from_folder, from, folder, to, 0); }
int renameat2(int from_folder, const char *from, int folder, const char *to, unsigned flags) {
    return renaming(from_folder, from, folder, to, flags);
}
int link(const char *from, const char *name) {
    ON_NAME(AT_FDCWD, name, (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, name, 0), , note("created", path, "", ""))
}
int linkat(int from_folder, const char *from, int folder, const char *name, int flags) {
    ON_NAME(folder, name, (int)syscall(SYS_linkat, from_folder, from, folder, name, flags), , note("created", path, "", ""))
}
int symlink(const char *target, const char *name) {
    ON_NAME(AT_FDCWD, name, (int)syscall(SYS_symlinkat, target, AT_FDCWD, name), , note("created", path, "", ""))
}
int symlinkat(const char *target, int folder, const char *name) {
    ON_NAME(folder, name, (int)syscall(SYS_symlinkat, target, folder, name), , note("created", path, "", ""))
}
int mkdir(const char *name, mode_t mode) {
    ON_NAME(AT_FDCWD, name, (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode), , note("created-folder", path, "", ""))
}
int mkdirat(int folder, const char *name, mode_t mode) {
    ON_NAME(folder, name, (int)syscall(SYS_mkdirat, folder, name, mode), , note("created-folder", path, "", ""))
}
int unlink(const char *name) {
    ON_NAME(AT_FDCWD, name, (int)syscall(SYS_unlinkat, AT_FDCWD, name, 0), keep_name(path, kept), note("removed", path, "", kept))
}
int unlinkat(int folder, const char *name, int flags) {
    ON_NAME(folder, name, (int)syscall(SYS_unlinkat, folder, name, flags), keep_name(path, kept), note("removed", path, "", kept))
}
int rmdir(const char *name) {
    ON_NAME(AT_FDCWD, name, (int)syscall(SYS_unlinkat, AT_FDCWD, name, AT_REMOVEDIR), keep_name(path, kept),
            note("removed", path, "", kept))
}
