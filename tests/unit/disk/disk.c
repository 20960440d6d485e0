#include "tests/unit/disk/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CALLS_MAX = 4096, PAGE_SIZE = 4096, PAGES_MAX = 4096 };

// One call that changed the watched file, or its name, or synced one of them.
struct call {
    bool syncs;    // all that was written before it
    bool names;    // the file has its name from here on
    bool keeps;    // that name is on the disk
    bool at_once;  // a write that is on the disk when it returns
    off_t at;      // where it wrote
    size_t size;   // bytes
    uint8_t *data; // owned
};

static char watched[PATH_MAX]; // the file; "": nothing is
static char made[PATH_MAX];    // where it is before it has its name
static char folder[PATH_MAX];  // where it has it
static struct call calls[CALLS_MAX];
static size_t call_count;
static size_t fails_at; // number of the call that fails; 0: none
static bool failed;     // it did

// Where a store lies that is not yet whole, and its folder.
static void find_places(const char *path, char *ret_folder, char *ret_made, size_t size)
{
    char copy[PATH_MAX];
    (void)snprintf(copy, sizeof copy, "%s", path);
    (void)snprintf(ret_folder, size, "%s", dirname(copy));
    const int length = snprintf(ret_made, size, "%s/new/data.mdb", ret_folder);
    assert(length > 0 && (size_t)length < size);
}

void disk_watch(const char *path)
{
    disk_forget();
    (void)snprintf(watched, sizeof watched, "%s", path);
    find_places(path, folder, made, sizeof made);
}

void disk_forget(void)
{
    for (size_t i = 0; i < call_count; i++)
        free(calls[i].data);
    memset(calls, 0, sizeof calls);
    watched[0] = '\0';
    call_count = fails_at = 0;
    failed = false;
}

void disk_fail(size_t n)
{
    failed = false;
    fails_at = n == 0 ? 0 : call_count + n;
}

bool disk_has_failed(void)
{
    return failed;
}

size_t disk_calls(void)
{
    return call_count;
}

// ---------------------------------------------------------------- the calls, in place of the C library's

static bool is_file(int file, const char *path)
{
    struct stat of_path;
    struct stat of_file;
    return watched[0] != '\0' && stat(path, &of_path) == 0 && fstat(file, &of_file) == 0 &&
           of_path.st_dev == of_file.st_dev && of_path.st_ino == of_file.st_ino;
}

static bool is_watched(int file)
{
    return is_file(file, watched) || is_file(file, made);
}

// The memory of this call, and whether it is to fail.
static struct call *begin(bool *ret_fails)
{
    assert(call_count < CALLS_MAX);
    struct call *call = &calls[call_count++];
    *ret_fails = call_count == fails_at;
    failed = failed || *ret_fails;
    return call;
}

static ssize_t write_at(int file, const struct iovec *parts, int count, off_t at)
{
    bool fails;
    struct call *call = begin(&fails);
    call->at = at;
    call->at_once = !fails && (fcntl(file, F_GETFL) & O_DSYNC) != 0;
    for (int i = 0; i < count; i++) {
        call->data = realloc(call->data, call->size + parts[i].iov_len);
        assert(call->data != NULL);
        memcpy(call->data + call->size, parts[i].iov_base, parts[i].iov_len);
        call->size += parts[i].iov_len;
    }
    if (!fails)
        return syscall(SYS_pwrite64, file, call->data, call->size, at);
    errno = EIO;
    return -1;
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return is_watched(file) ? write_at(file, &part, 1, at) : syscall(SYS_pwrite64, file, data, size, at);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    if (!is_watched(file))
        return syscall(SYS_writev, file, parts, count);
    const ssize_t size = write_at(file, parts, count, lseek(file, 0, SEEK_CUR));
    if (size > 0)
        (void)lseek(file, size, SEEK_CUR);
    return size;
}

ssize_t write(int file, const void *data, size_t size)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return is_watched(file) ? writev(file, &part, 1) : syscall(SYS_write, file, data, size);
}

static int sync_file(int file, long number)
{
    bool fails = false;
    if (is_watched(file))
        begin(&fails)->syncs = !fails;
    if (!fails)
        return (int)syscall(number, file);
    errno = EIO;
    return -1;
}

int fdatasync(int file)
{
    return sync_file(file, SYS_fdatasync);
}

int fsync(int file)
{
    bool fails = false;
    if (!is_file(file, folder))
        return sync_file(file, SYS_fsync);
    begin(&fails)->keeps = !fails;
    if (!fails)
        return (int)syscall(SYS_fsync, file);
    errno = EIO;
    return -1;
}

int rename(const char *from, const char *to)
{
    bool fails = false;
    if (watched[0] != '\0' && strcmp(from, made) == 0)
        begin(&fails)->names = !fails;
    if (!fails)
        return (int)syscall(SYS_rename, from, to);
    errno = EIO;
    return -1;
}

// ---------------------------------------------------------------- the power cut

static uint64_t next_number(uint64_t *seed) // splitmix64
{
    uint64_t number = *seed += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

static void put(int file, const struct call *call, size_t from, size_t size)
{
    const ssize_t done =
        size == 0 ? 0 : syscall(SYS_pwrite64, file, call->data + from, size, call->at + (off_t)from);
    assert(done == (ssize_t)size);
}

// Writes those pages of the call that landed. A page whose version is lost gets no later one, either.
static void land(int file, const struct call *call, uint64_t *seed, bool *lost)
{
    for (size_t from = 0; from < call->size;) {
        const size_t place = (size_t)call->at + from;
        const size_t left = PAGE_SIZE - place % PAGE_SIZE;
        const size_t size = left < call->size - from ? left : call->size - from;
        assert(place / PAGE_SIZE < PAGES_MAX);
        bool *gone = &lost[place / PAGE_SIZE];
        *gone = *gone || next_number(seed) % 2 == 0;
        if (!*gone)
            put(file, call, from, size);
        from += size;
    }
}

// Opens the file anew where the cut leaves it: under its name, or where it was made.
static int open_left(size_t count, uint64_t seed, const char *path)
{
    char in[PATH_MAX];
    char aside[PATH_MAX];
    bool has_name = false;
    bool surely = false;
    find_places(path, in, aside, sizeof aside);
    for (size_t i = 0; i < count; i++) {
        has_name = has_name || calls[i].names;
        surely = surely || (calls[i].keeps && i + 1 < count);
    }
    has_name = surely || (has_name && seed % 2 == 1);
    (void)unlink(path); // of an earlier cut
    (void)unlink(aside);
    if (!has_name) {
        (void)snprintf(in + strlen(in), sizeof in - strlen(in), "/new");
        (void)mkdir(in, 0750);
    }
    return open(has_name ? path : aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
}

void disk_cut(size_t count, uint64_t seed, const char *path)
{
    bool lost[PAGES_MAX] = {false};
    size_t synced = 0; // calls before the last sync
    uint64_t random = seed;
    assert(count <= call_count);
    const int file = open_left(count, seed, path);
    assert(file >= 0);
    for (size_t i = 0; i + 1 < count; i++)
        synced = calls[i].syncs ? i : synced;
    for (size_t i = 0; i < count; i++) {
        const struct call *call = &calls[i];
        if (i < synced || (call->at_once && i + 1 < count) || seed == DISK_LANDED)
            put(file, call, 0, call->size);
        else if (seed != DISK_LOST)
            land(file, call, &random, lost);
    }
    (void)close(file);
}
