/* A disk that fails on demand, to be preloaded. While the file KURZ_TEST_FAULT names exists, each
 * call that it lists fails, for files whose path begins with KURZ_TEST_FILE (a database and what
 * lies beside it). It holds words like "write:EIO". */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Reads behind this are called read-on: what a start reads before it checks the file is not. */
#define FIRST_PAGES 8192
/* Where the file is. */
#define HERE (-2)

static int number(const char *name) {
    if (strncmp(name, "ENOSPC", 6) == 0) return ENOSPC;
    if (strncmp(name, "EDQUOT", 6) == 0) return EDQUOT;
    return EIO;
}

/* Sets errno, and says so, if the call is to fail. Calls the kernel itself: these are the functions
 * that it replaces. */
static int fails(int fd, const char *call, off_t at) {
    const char *fault = getenv("KURZ_TEST_FAULT"), *file = getenv("KURZ_TEST_FILE");
    if (fault == NULL || file == NULL) return 0;
    int before = errno, failed = 0;
    long listed = syscall(SYS_openat, AT_FDCWD, fault, O_RDONLY | O_CLOEXEC);
    if (listed >= 0) {
        char words[256], link[64], path[4096];
        long length = syscall(SYS_read, listed, words, sizeof words - 1);
        syscall(SYS_close, listed);
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        long reached = readlink(link, path, sizeof path - 1);
        if (length > 0 && reached > 0) {
            words[length] = path[reached] = 0;
            if (at == HERE) at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
            const char *later = strcmp(call, "read:") == 0 && at >= FIRST_PAGES ? "read-on:" : call;
            const char *word = strstr(words, later);
            if (word != NULL && strncmp(path, file, strlen(file)) == 0) {
                failed = number(word + strlen(later));
            }
        }
    }
    errno = failed ? failed : before;
    return failed;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REPLACE(result, name, parameters, arguments, call, at) \
    result name parameters { return fails(fd, call, at) ? -1 : NEXT(name) arguments; }

REPLACE(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n), "read:", HERE)
REPLACE(ssize_t, pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at), "read:", at)
REPLACE(ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at), "read:", at)
REPLACE(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n), "write:", 0)
REPLACE(ssize_t, pwrite, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at), "write:", 0)
REPLACE(ssize_t, pwrite64, (int fd, const void *from, size_t n, off64_t at), (fd, from, n, at), "write:", 0)
REPLACE(int, fsync, (int fd), (fd), "sync:", 0)
REPLACE(int, fdatasync, (int fd), (fd), "sync:", 0)
