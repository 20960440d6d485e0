#include "proto/io/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { READERS_MAX = 64, SMB_MAGIC = 0x517B, CIFS_MAGIC = (int)0xFF534D42 };

struct store {
    MDB_env *env;                     // owned
    MDB_dbi tables[STORE_TABLES_MAX]; // as numbered in the options
    size_t table_count;               // of them
    uint64_t map_size;                // bytes of the map now
    uint64_t map_size_max;            // it never grows past this
    pthread_rwlock_t map;             // held for reading by each reader, for writing while the map moves
    char *path;                       // for messages; owned
};

struct store_txn {
    struct store *store; // it belongs to
    MDB_txn *txn;        // owned; NULL once ended
    bool writes;         // a write transaction
    int error;           // of LMDB, the first that was not a mere absence
};

struct store_scan {
    struct store_txn *txn; // it belongs to
    MDB_cursor *cursor;    // owned
};

// ---------------------------------------------------------------- errors

static enum err err_of(int code)
{
    switch (code) {
    case 0: return ERR_OK;
    case MDB_NOTFOUND: return ERR_NOT_FOUND;
    case MDB_KEYEXIST: return ERR_EXISTS;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL: return ERR_FULL;
    case MDB_READERS_FULL: return ERR_BUSY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH: return ERR_CORRUPT;
    case MDB_BAD_VALSIZE:
    case EINVAL: return ERR_INVALID;
    case ENOMEM: return ERR_NO_MEMORY;
    case ENOSPC:
    case EFBIG:
    case EDQUOT: return ERR_NO_SPACE;
    default: return ERR_IO;
    }
}

static enum err report(const struct store *self, int code, struct fault *fault)
{
    const enum err err = err_of(code);
    switch (err) {
    case ERR_OK: return ERR_OK;
    case ERR_FULL:
        return fault_set(fault, err, "%s: the store has reached its limit of %llu bytes", self->path,
                         (unsigned long long)self->map_size_max);
    case ERR_NO_SPACE:
        return fault_set(fault, err, "%s: no space left on the device; nothing was changed; make room",
                         self->path);
    case ERR_CORRUPT:
        return fault_set(fault, err, "%s: the store is damaged (%s); move it away or restore a backup",
                         self->path, mdb_strerror(code));
    case ERR_IO:
        return fault_set(fault, err, "%s: %s; what is on disk is not known now", self->path,
                         mdb_strerror(code));
    default: return fault_set(fault, err, "%s: %s", self->path, mdb_strerror(code));
    }
}

// LMDB calls a write that the end of the disk cut short EIO. The pages of a transaction that was not
// committed are nobody's, so that end can be told from an error that leaves the disk unknown: there is no
// room left.
static bool is_full(const struct store *self)
{
    struct statvfs system;
    struct stat file;
    struct rlimit limit;
    char name[PATH_MAX];
    if (statvfs(self->path, &system) == 0 && (geteuid() == 0 ? system.f_bfree : system.f_bavail) == 0)
        return true;
    return (size_t)snprintf(name, sizeof name, "%s/data.mdb", self->path) < sizeof name &&
           stat(name, &file) == 0 && getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           (rlim_t)file.st_size >= limit.rlim_cur;
}

// ---------------------------------------------------------------- opening

static enum err refuse_network(const char *path, struct fault *fault)
{
    struct statfs system;
    if (statfs(path, &system) != 0)
        return fault_set(fault, ERR_IO, "%s: %s", path, strerror(errno));
    if (system.f_type == NFS_SUPER_MAGIC || (int)system.f_type == SMB_MAGIC ||
        (int)system.f_type == CIFS_MAGIC)
        return fault_set(
            fault, ERR_REFUSED,
            "%s lies on a network file system, where locks and mapped memory do not hold; choose a "
            "local directory",
            path);
    return ERR_OK;
}

// Names that were made in the folder outlive a power cut from now on; else an errno.
static int sync_folder(const char *path)
{
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int code = folder < 0 || fsync(folder) != 0 ? errno : 0;
    if (folder >= 0)
        (void)close(folder);
    return code;
}

static int sync_parent(const char *path)
{
    char name[PATH_MAX];
    const int size = snprintf(name, sizeof name, "%s", path);
    return size < 0 || (size_t)size >= sizeof name ? ENAMETOOLONG : sync_folder(dirname(name));
}

static enum err make_directory(const char *path, struct fault *fault)
{
    const int code = mkdir(path, 0750) != 0 ? errno : sync_parent(path);
    if (code == 0 || code == EEXIST)
        return ERR_OK;
    return fault_set(fault, code == ENOSPC ? ERR_NO_SPACE : ERR_IO, "%s: cannot be made: %s", path,
                     strerror(code));
}

static int open_tables(struct store *self, const struct store_options *options)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(self->env, NULL, 0, &txn);
    for (size_t i = 0; i < options->table_count && code == 0; i++)
        code = mdb_dbi_open(txn, options->tables[i], MDB_CREATE, &self->tables[i]);
    if (code == 0)
        return mdb_txn_commit(txn);
    if (txn != NULL)
        mdb_txn_abort(txn);
    return code;
}

static int open_env(struct store *self, const char *path, const struct store_options *options)
{
    int code = mdb_env_create(&self->env);
    if (code == 0)
        code = mdb_env_set_maxdbs(self->env, STORE_TABLES_MAX);
    if (code == 0)
        code = mdb_env_set_maxreaders(self->env, READERS_MAX);
    if (code == 0)
        code = mdb_env_set_mapsize(self->env, (size_t)self->map_size);
    // Readers may move between threads, and a process's own lock on its directory keeps others out.
    if (code == 0)
        code = mdb_env_open(self->env, path, MDB_NOTLS | MDB_NORDAHEAD, 0640);
    int dead = 0;
    if (code == 0)
        code = mdb_reader_check(self->env, &dead);
    if (code == 0)
        code = open_tables(self, options);
    MDB_envinfo info;
    if (code == 0 && mdb_env_info(self->env, &info) == 0)
        self->map_size = info.me_mapsize; // of a store that had grown before
    return code;
}

// Names the whole store that lies aside, and sees that its name is on the disk.
static int name_store(const struct store *self, const char *made, const char *name)
{
    if (rename(made, name) != 0)
        return errno;
    return sync_folder(self->path);
}

// A store is made aside, and gets its name when it is whole on the disk: LMDB writes its first pages without
// a sync, so that a power cut on the way would leave a file that nobody can open.
static int make_store(struct store *self, const struct store_options *options)
{
    char name[PATH_MAX];
    char aside[PATH_MAX];
    char made[PATH_MAX];
    char lock[PATH_MAX];
    if ((size_t)snprintf(made, sizeof made, "%s/new/data.mdb", self->path) >= sizeof made)
        return ENAMETOOLONG;
    (void)snprintf(name, sizeof name, "%s/data.mdb", self->path);
    (void)snprintf(aside, sizeof aside, "%s/new", self->path);
    (void)snprintf(lock, sizeof lock, "%s/new/lock.mdb", self->path);
    if (access(name, F_OK) == 0)
        return 0;
    if ((mkdir(aside, 0750) != 0 && errno != EEXIST) || (unlink(made) != 0 && errno != ENOENT))
        return errno;
    int code = open_env(self, aside, options);
    if (code == 0)
        code = mdb_env_sync(self->env, 1);
    if (self->env != NULL)
        mdb_env_close(self->env);
    self->env = NULL;
    if (code == 0)
        code = name_store(self, made, name);
    (void)unlink(lock);
    (void)unlink(made); // of one that failed
    (void)rmdir(aside);
    return code;
}

enum err store_open(const char *path, const struct store_options *options, struct store **ret,
                    struct fault *fault)
{
    assert(options->table_count <= STORE_TABLES_MAX);
    enum err err = make_directory(path, fault);
    if (err == ERR_OK)
        err = refuse_network(path, fault);
    if (err != ERR_OK)
        return err;
    struct store *self = calloc(1, sizeof *self);
    if (self == NULL || (self->path = strdup(path)) == NULL) {
        free(self);
        return fault_set(fault, ERR_NO_MEMORY, "%s: %s", path, err_text(ERR_NO_MEMORY));
    }
    (void)pthread_rwlock_init(&self->map, NULL);
    self->table_count = options->table_count;
    self->map_size = options->map_size;
    self->map_size_max = options->map_size_max;
    int code = make_store(self, options);
    if (code == 0)
        code = open_env(self, self->path, options);
    if (code == EIO && is_full(self))
        code = ENOSPC;
    err = report(self, code, fault);
    if (err != ERR_OK)
        store_close(&self);
    else
        *ret = self;
    return err;
}

void store_close(struct store **self_p)
{
    struct store *self = *self_p;
    if (self == NULL)
        return;
    if (self->env != NULL)
        mdb_env_close(self->env);
    (void)pthread_rwlock_destroy(&self->map);
    free(self->path);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- transactions

enum err store_read(struct store *self, struct store_txn **ret, struct fault *fault)
{
    struct store_txn *txn = calloc(1, sizeof *txn);
    if (txn == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "%s: %s", self->path, err_text(ERR_NO_MEMORY));
    txn->store = self;
    (void)pthread_rwlock_rdlock(&self->map);
    const int code = mdb_txn_begin(self->env, NULL, MDB_RDONLY, &txn->txn);
    if (code != 0) {
        (void)pthread_rwlock_unlock(&self->map);
        free(txn);
        return report(self, code, fault);
    }
    *ret = txn;
    return ERR_OK;
}

void store_end(struct store_txn **txn_p)
{
    if (*txn_p == NULL)
        return;
    mdb_txn_abort((*txn_p)->txn);
    (void)pthread_rwlock_unlock(&(*txn_p)->store->map);
    free(*txn_p);
    *txn_p = NULL;
}

// Doubles the map until it has `wanted` bytes, up to its limit. It may move, so it waits for this process's
// readers to end.
static int grow(struct store *self, uint64_t wanted)
{
    if (self->map_size >= self->map_size_max)
        return MDB_MAP_FULL;
    uint64_t size = self->map_size;
    while (size < wanted && size <= self->map_size_max / 2)
        size *= 2;
    if (size < wanted)
        size = self->map_size_max;
    (void)pthread_rwlock_wrlock(&self->map);
    const int code = mdb_env_set_mapsize(self->env, (size_t)size);
    (void)pthread_rwlock_unlock(&self->map);
    if (code == 0)
        self->map_size = size;
    return code;
}

// One attempt; `ret_code` is LMDB's own error, 0 when the body alone refused.
static enum err attempt(struct store *self, store_body *body, void *arg, int *ret_code, struct fault *fault)
{
    struct store_txn txn = {.store = self, .writes = true};
    *ret_code = mdb_txn_begin(self->env, NULL, 0, &txn.txn);
    if (*ret_code != 0)
        return err_of(*ret_code);
    enum err err = body(&txn, arg, fault);
    if (err == ERR_OK && txn.error == 0) {
        *ret_code = mdb_txn_commit(txn.txn);
        if (*ret_code == EIO && is_full(self))
            *ret_code = ENOSPC;
        return err_of(*ret_code);
    }
    mdb_txn_abort(txn.txn);
    *ret_code = txn.error;
    return txn.error != 0 ? err_of(txn.error) : err;
}

enum err store_write(struct store *self, store_body *body, void *arg, struct fault *fault)
{
    for (;;) {
        int code = 0;
        enum err err = attempt(self, body, arg, &code, fault);
        if (code == MDB_MAP_FULL) {
            code = grow(self, self->map_size + 1);
            if (code == 0)
                continue;
        }
        return code != 0 ? report(self, code, fault) : err;
    }
}

enum err store_make_room(struct store *self, uint64_t size, struct fault *fault)
{
    MDB_envinfo info;
    MDB_stat stat;
    int code = mdb_env_info(self->env, &info);
    if (code == 0)
        code = mdb_env_stat(self->env, &stat);
    if (code != 0)
        return report(self, code, fault);
    const uint64_t used = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    const uint64_t wanted = size > UINT64_MAX - used ? UINT64_MAX : used + size;
    // A map at its limit may still do: some of what is in use may be free inside.
    if (wanted <= self->map_size || self->map_size >= self->map_size_max)
        return ERR_OK;
    return report(self, grow(self, wanted), fault);
}

// Keeps an error of LMDB in the transaction, so that it decides how the transaction ends.
static enum err note(struct store_txn *txn, int code)
{
    if (code != 0 && code != MDB_NOTFOUND && txn->error == 0)
        txn->error = code;
    return err_of(code);
}

static MDB_val value_of(struct bytes bytes)
{
    return (MDB_val){.mv_size = bytes.size, .mv_data = (void *)(uintptr_t)bytes.data};
}

enum err store_get(struct store_txn *txn, unsigned table, struct bytes key, struct bytes *ret)
{
    assert(table < txn->store->table_count);
    MDB_val name = value_of(key);
    MDB_val value;
    const int code = mdb_get(txn->txn, txn->store->tables[table], &name, &value);
    if (code == 0)
        *ret = (struct bytes){.data = value.mv_data, .size = value.mv_size};
    return note(txn, code);
}

enum err store_put(struct store_txn *txn, unsigned table, struct bytes key, struct bytes value)
{
    assert(table < txn->store->table_count && txn->writes);
    MDB_val name = value_of(key);
    MDB_val data = value_of(value);
    return note(txn, mdb_put(txn->txn, txn->store->tables[table], &name, &data, 0));
}

enum err store_reserve(struct store_txn *txn, unsigned table, struct bytes key, size_t size, void **ret_place)
{
    assert(table < txn->store->table_count && txn->writes);
    MDB_val name = value_of(key);
    MDB_val data = {.mv_size = size, .mv_data = NULL};
    const int code = mdb_put(txn->txn, txn->store->tables[table], &name, &data, MDB_RESERVE);
    if (code == 0)
        *ret_place = data.mv_data;
    return note(txn, code);
}

enum err store_delete(struct store_txn *txn, unsigned table, struct bytes key)
{
    assert(table < txn->store->table_count && txn->writes);
    MDB_val name = value_of(key);
    return note(txn, mdb_del(txn->txn, txn->store->tables[table], &name, NULL));
}

enum err store_clear(struct store_txn *txn, unsigned table)
{
    assert(table < txn->store->table_count && txn->writes);
    return note(txn, mdb_drop(txn->txn, txn->store->tables[table], 0));
}

enum err store_count(struct store_txn *txn, unsigned table, uint64_t *ret)
{
    assert(table < txn->store->table_count);
    MDB_stat stat;
    const int code = mdb_stat(txn->txn, txn->store->tables[table], &stat);
    if (code == 0)
        *ret = stat.ms_entries;
    return note(txn, code);
}

// ---------------------------------------------------------------- scans

enum err store_scan_begin(struct store_txn *txn, unsigned table, struct store_scan **ret)
{
    assert(table < txn->store->table_count);
    struct store_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL)
        return note(txn, ENOMEM);
    scan->txn = txn;
    const int code = mdb_cursor_open(txn->txn, txn->store->tables[table], &scan->cursor);
    if (code != 0)
        free(scan);
    else
        *ret = scan;
    return note(txn, code);
}

void store_scan_end(struct store_scan **scan_p)
{
    if (*scan_p == NULL)
        return;
    mdb_cursor_close((*scan_p)->cursor);
    free(*scan_p);
    *scan_p = NULL;
}

// Moves the cursor and gives what is there.
static enum err move(struct store_scan *scan, MDB_val key, MDB_cursor_op operation, struct bytes *ret_key,
                     struct bytes *ret_value)
{
    MDB_val value;
    const int code = mdb_cursor_get(scan->cursor, &key, &value, operation);
    if (code == 0) {
        *ret_key = (struct bytes){.data = key.mv_data, .size = key.mv_size};
        *ret_value = (struct bytes){.data = value.mv_data, .size = value.mv_size};
    }
    return note(scan->txn, code);
}

enum err store_scan_seek(struct store_scan *scan, struct bytes from, struct bytes *ret_key,
                         struct bytes *ret_value)
{
    return move(scan, value_of(from), from.size == 0 ? MDB_FIRST : MDB_SET_RANGE, ret_key, ret_value);
}

enum err store_scan_last(struct store_scan *scan, struct bytes from, struct bytes *ret_key,
                         struct bytes *ret_value)
{
    if (from.size == 0)
        return move(scan, value_of(from), MDB_LAST, ret_key, ret_value);
    struct bytes key, value;
    enum err err = move(scan, value_of(from), MDB_SET_RANGE, &key, &value);
    if (err == ERR_NOT_FOUND) // all keys are smaller
        return move(scan, value_of(from), MDB_LAST, ret_key, ret_value);
    if (err != ERR_OK)
        return err;
    if (key.size != from.size || memcmp(key.data, from.data, key.size) != 0)
        return move(scan, value_of(from), MDB_PREV, ret_key, ret_value);
    *ret_key = key;
    *ret_value = value;
    return ERR_OK;
}

enum err store_scan_next(struct store_scan *scan, struct bytes *ret_key, struct bytes *ret_value)
{
    return move(scan, (MDB_val){0}, MDB_NEXT, ret_key, ret_value);
}

enum err store_scan_previous(struct store_scan *scan, struct bytes *ret_key, struct bytes *ret_value)
{
    return move(scan, (MDB_val){0}, MDB_PREV, ret_key, ret_value);
}

enum err store_scan_find(struct store_scan *scan, struct bytes key, struct bytes *ret_value)
{
    struct bytes found;
    return move(scan, value_of(key), MDB_SET, &found, ret_value);
}

// ---------------------------------------------------------------- keys

struct bytes store_number(uint64_t number, uint8_t key[8])
{
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(number >> (56 - 8 * i));
    return (struct bytes){.data = key, .size = 8};
}

uint64_t store_number_of(struct bytes key)
{
    uint64_t number = 0;
    for (size_t i = 0; i < key.size && i < 8; i++)
        number = number << 8 | ((const uint8_t *)key.data)[i];
    return number;
}
