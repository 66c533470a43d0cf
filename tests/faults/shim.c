/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that fails on command, for LD_PRELOAD: every call that changes a file under FAULT_DIR is counted and written
 * to FAULT_TRACE, and the one whose number stands in the control file (FAULT_CONTROL, shared memory, struct control)
 * fails. Linux and glibc; what it is used for is in tests/faults/__init__.py.
 *
 * In `power` and `gate` runs it also keeps a model of the disk below the page cache: for each page written since the
 * last fsync of its file the bytes that are safe, for each file its safe length, and for each file removed a second
 * name until the folder is synced. A power cut puts all of that back and kills the process. An fsync that fails under
 * `gate` leaves its pages clean in the cache and old on the disk, as Linux does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define PAGE 4096

enum kind { NONE, EIO_, ENOSPC_, SHORT, FULL, KILL, TORN, POWER, GATE };

struct control {
    int64_t count; /* calls so far in this run */
    int64_t at;    /* the call that fails; 0: none */
    int64_t kind;
    int64_t span;  /* how many calls fail from there (FULL) */
    int64_t hit;   /* set when the fault has happened */
};

static struct control nothing;
static struct control *control = &nothing;
static const char *root = NULL;
static size_t root_length;
static int trace = -1;
static int short_then_full; /* the call after a short write meets a full disk */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_rename)(const char *, const char *);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void start(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    const char *path = getenv("FAULT_CONTROL"), *list = getenv("FAULT_TRACE");
    root = getenv("FAULT_DIR");
    if (!path || !root) {
        root = NULL;
        return;
    }
    root_length = strlen(root);
    int fd = open(path, O_RDWR);
    void *shared = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) {
        fprintf(stderr, "shim: no control file %s\n", path);
        _exit(97);
    }
    control = shared;
    if (list) trace = open(list, O_WRONLY | O_APPEND | O_CREAT, 0600);
}

/* the disk below the page cache ------------------------------------------------------------------------------- */

struct page {
    off_t number;
    int clean; /* its fsync failed: the kernel will not write it again by itself */
    size_t length;
    unsigned char safe[PAGE];
    struct page *next;
};

struct file {
    dev_t dev;
    ino_t ino;
    char path[PATH_MAX];
    off_t length; /* the safe one */
    struct page *pages;
    struct file *next;
};

struct grave {
    char path[PATH_MAX], kept[PATH_MAX];
    struct grave *next;
};

static struct file *files;
static struct grave *graves;

static int modelled(void) { return control->kind == POWER || control->kind == GATE; }

static void name_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n < 0 ? 0 : n] = 0;
}

static struct file *file_of(int fd, int make) {
    struct stat st;
    if (fstat(fd, &st)) return NULL;
    for (struct file *f = files; f; f = f->next)
        if (f->ino == st.st_ino && f->dev == st.st_dev) return f;
    if (!make) return NULL;
    struct file *f = calloc(1, sizeof *f);
    f->dev = st.st_dev;
    f->ino = st.st_ino;
    f->length = st.st_size;
    name_of(fd, f->path);
    f->next = files;
    return files = f;
}

/* Remember what is safe of the pages that [from, to) touches. */
static void touch(int fd, off_t from, off_t to) {
    struct file *f = file_of(fd, 1);
    for (off_t number = from / PAGE; number * PAGE < to; number++) {
        struct page *p = f->pages;
        while (p && p->number != number) p = p->next;
        if (!p) {
            p = calloc(1, sizeof *p);
            p->number = number;
            ssize_t n = 0;
            int own = open(f->path, O_RDONLY); /* the file may be open for writing only */
            if (own >= 0) {
                n = pread(own, p->safe, PAGE, number * PAGE);
                close(own);
            }
            p->length = n < 0 ? 0 : (size_t)n;
            p->next = f->pages;
            f->pages = p;
        }
        p->clean = 0;
    }
}

static void synced(int fd) {
    struct stat st;
    if (fstat(fd, &st)) return;
    if (S_ISDIR(st.st_mode)) {
        while (graves) {
            struct grave *g = graves;
            graves = g->next;
            real_unlink(g->kept);
            free(g);
        }
        return;
    }
    struct file *f = file_of(fd, 0);
    if (!f) return;
    f->length = st.st_size;
    for (struct page **p = &f->pages; *p;) {
        struct page *gone = *p;
        if (gone->clean) {
            p = &gone->next;
        } else {
            *p = gone->next;
            free(gone);
        }
    }
}

static void not_synced(int fd) {
    struct file *f = file_of(fd, 0);
    for (struct page *p = f ? f->pages : NULL; p; p = p->next) p->clean = 1;
}

static void bury(const char *path) {
    struct grave *g = calloc(1, sizeof *g);
    static int number;
    snprintf(g->path, sizeof g->path, "%s", path);
    snprintf(g->kept, sizeof g->kept, "%s.buried-%d", path, number++);
    real_unlink(g->kept);
    if (link(path, g->kept)) {
        free(g);
        return;
    }
    g->next = graves;
    graves = g;
}

static void power_cut(void) {
    /* A file made since under the same name goes with it: its name was no safer. */
    for (struct grave *g = graves; g; g = g->next) real_rename(g->kept, g->path);
    for (struct file *f = files; f; f = f->next) {
        int fd = open(f->path, O_WRONLY);
        struct stat st;
        if (fd < 0) continue;
        if (!fstat(fd, &st) && st.st_ino == f->ino) {
            for (struct page *p = f->pages; p; p = p->next) real_pwrite(fd, p->safe, PAGE, p->number * PAGE);
            if (!fstat(fd, &st) && st.st_size != f->length) real_ftruncate(fd, f->length);
        }
        close(fd);
    }
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* The end of a `gate` run: everything went on after the failed fsync, and now the power goes. */
void fault_cut(void) {
    pthread_mutex_lock(&lock);
    power_cut();
}

/* faults ------------------------------------------------------------------------------------------------------ */

enum call { WRITE, SYNC, TRUNCATE, NAME };

/* What becomes of this call: 0 it happens, else the errno it fails with; -1: half of it is written. */
static int meet(const char *call, enum call what, const char *path) {
    int64_t n = ++control->count;
    if (trace >= 0) {
        char line[PATH_MAX + 32];
        const char *base = strrchr(path, '/');
        int length = snprintf(line, sizeof line, "%s %s\n", call, base ? base + 1 : path);
        real_write(trace, line, (size_t)length);
    }
    if (short_then_full && what == WRITE) {
        short_then_full = 0;
        return ENOSPC;
    }
    if (!control->at || n < control->at || n >= control->at + (control->kind == FULL ? control->span : 1)) return 0;
    control->hit = 1;
    switch (control->kind) {
    case EIO_: return EIO;
    case ENOSPC_: return ENOSPC;
    case FULL: return what == NAME ? 0 : ENOSPC; /* a full disk still takes names away */
    case SHORT:
        if (what != WRITE) return EIO;
        short_then_full = 1;
        return -1;
    case TORN:
        if (what == WRITE) return -1;
        /* fall through */
    case KILL:
        kill(getpid(), SIGKILL);
        for (;;) pause();
    case POWER: power_cut(); return 0;
    case GATE: return what == SYNC ? EIO : 0;
    default: return 0;
    }
}

static int ours(const char *path) { return root && !strncmp(path, root, root_length); }

static int refuse(int why) {
    pthread_mutex_unlock(&lock);
    errno = why;
    return -1;
}

static ssize_t changed(const char *call, int fd, const void *data, size_t length, off_t at, int positioned) {
    char path[PATH_MAX];
    if (root) name_of(fd, path);
    if (!root || !ours(path)) return positioned ? real_pwrite(fd, data, length, at) : real_write(fd, data, length);
    pthread_mutex_lock(&lock);
    off_t from = positioned ? at : lseek(fd, 0, SEEK_CUR);
    int why = meet(call, WRITE, path);
    if (why > 0) return refuse(why);
    size_t part = why < 0 ? (length + 1) / 2 : length;
    if (modelled()) touch(fd, from, from + (off_t)part);
    ssize_t done = positioned ? real_pwrite(fd, data, part, at) : real_write(fd, data, part);
    if (why < 0 && control->kind == TORN) kill(getpid(), SIGKILL);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return changed("write", fd, data, length, 0, 0); }

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) {
    return changed("pwrite", fd, data, length, at, 1);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return changed("pwrite", fd, data, length, at, 1); }

static int sync_of(const char *call, int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (root) name_of(fd, path);
    if (!root || !ours(path)) return real(fd);
    pthread_mutex_lock(&lock);
    int why = meet(call, SYNC, path);
    if (why > 0) {
        if (modelled()) not_synced(fd);
        return refuse(why);
    }
    /* The test's own disk is not waited for: what is safe is a matter of the model. */
    if (modelled()) synced(fd);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return sync_of("fsync", fd, real_fsync); }

int fdatasync(int fd) { return sync_of("fdatasync", fd, real_fdatasync); }

int ftruncate64(int fd, off_t length) {
    char path[PATH_MAX];
    struct stat st;
    if (root) name_of(fd, path);
    if (!root || !ours(path)) return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    int why = meet("ftruncate", TRUNCATE, path);
    if (why > 0) return refuse(why);
    if (modelled() && !fstat(fd, &st)) {
        if (length < st.st_size) touch(fd, length, st.st_size);
        else file_of(fd, 1);
    }
    int done = real_ftruncate(fd, length);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int rename(const char *from, const char *to) {
    if (!root || !ours(to)) return real_rename(from, to);
    pthread_mutex_lock(&lock);
    int why = meet("rename", NAME, to);
    if (why > 0) return refuse(why);
    int done = real_rename(from, to);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    if (!root || !ours(path)) return real_unlink(path);
    pthread_mutex_lock(&lock);
    int why = meet("unlink", NAME, path);
    if (why > 0) return refuse(why);
    if (modelled()) bury(path);
    int done = real_unlink(path);
    pthread_mutex_unlock(&lock);
    return done;
}
