// One LMDB environment: the only file that includes lmdb. Full maps grow by themselves; what a person can
// mend is said so; a failed commit with EIO means that what is on disk is not known, and the caller must
// stop.
//
// Threads: one writer at a time (LMDB waits); a transaction stays with its thread, which writes only after it
// has ended its reading, since a map that grows waits for all readers. Not across fork.
#ifndef SYNCBUS_IO_STORE_H
#define SYNCBUS_IO_STORE_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_TABLES_MAX = 16, STORE_KEY_MAX = 511 };

// Bytes: of a caller's for input, of the map for output (valid until the transaction ends or writes).
struct bytes {
    const void *data;
    size_t size;
};

struct store;      // an open environment
struct store_txn;  // a transaction in it
struct store_scan; // a place in a table, in key order

struct store_options {
    const char *const
        *tables; // names of the tables, at most STORE_TABLES_MAX, numbered as listed; kept by the caller
    size_t table_count;
    uint64_t map_size;     // first size of the map, bytes; grows by doubling
    uint64_t map_size_max; // ERR_FULL past this
};

// Opens or makes the store in directory `path` (made if missing, mode 0750). ERR_REFUSED on a network file
// system, ERR_CORRUPT, ERR_NO_SPACE, ERR_IO with what to do in `fault`.
SB_MUST_CHECK
enum err store_open(const char *path, const struct store_options *options, struct store **ret,
                    struct fault *fault);

// Closes it; no transaction may be open. Sets the pointer to NULL; NULL is fine.
void store_close(struct store **self_p);

// Grows the map so that about `size` bytes more than are in use now fit into it, up to its limit: what is
// known to be large is then written once, and not again after each time that the map was full. Waits for this
// process's readers. ERR_NO_MEMORY, ERR_IO.
SB_MUST_CHECK
enum err store_make_room(struct store *self, uint64_t size, struct fault *fault);

// A read transaction: one state of everything, however long it is open (keep it short). End it with
// store_end.
SB_MUST_CHECK
enum err store_read(struct store *self, struct store_txn **ret, struct fault *fault);
void store_end(struct store_txn **txn_p);

// Runs `body` in a write transaction and commits if it returned ERR_OK; else rolls back and returns its
// error. When the map was full it is grown and `body` runs again from the start: it must not have effects
// outside the transaction that a second run would double. ERR_NO_SPACE: nothing changed. ERR_IO at commit:
// stop the process.
typedef enum err store_body(struct store_txn *txn, void *arg, struct fault *fault);
SB_MUST_CHECK
enum err store_write(struct store *self, store_body *body, void *arg, struct fault *fault);

// ERR_NOT_FOUND when there is none. Keys of 1 to STORE_KEY_MAX bytes.
SB_MUST_CHECK
enum err store_get(struct store_txn *txn, unsigned table, struct bytes key, struct bytes *ret);

// Puts (replaces) a value; errors are kept in the transaction, so that `body` may return what this returned
// as it is.
SB_MUST_CHECK
enum err store_put(struct store_txn *txn, unsigned table, struct bytes key, struct bytes value);

// Takes room for a value of `size` bytes under the key and gives its place, to be filled before the next
// call.
SB_MUST_CHECK
enum err store_reserve(struct store_txn *txn, unsigned table, struct bytes key, size_t size,
                       void **ret_place);

// ERR_NOT_FOUND when there was none.
SB_MUST_CHECK
enum err store_delete(struct store_txn *txn, unsigned table, struct bytes key);

// Deletes all entries of a table.
SB_MUST_CHECK
enum err store_clear(struct store_txn *txn, unsigned table);

// Number of entries in a table.
SB_MUST_CHECK
enum err store_count(struct store_txn *txn, unsigned table, uint64_t *ret);

// A scan in key order; start with store_scan_seek (first key >= `from`; an empty one is the first of all) or
// store_scan_last (the last key <= `from`; an empty one is the last of all), go on with store_scan_next or
// _previous. Each gives ERR_NOT_FOUND at the end.
SB_MUST_CHECK
enum err store_scan_begin(struct store_txn *txn, unsigned table, struct store_scan **ret);
void store_scan_end(struct store_scan **scan_p);
SB_MUST_CHECK
enum err store_scan_seek(struct store_scan *scan, struct bytes from, struct bytes *ret_key,
                         struct bytes *ret_value);
SB_MUST_CHECK
enum err store_scan_last(struct store_scan *scan, struct bytes from, struct bytes *ret_key,
                         struct bytes *ret_value);
SB_MUST_CHECK
enum err store_scan_next(struct store_scan *scan, struct bytes *ret_key, struct bytes *ret_value);
SB_MUST_CHECK
enum err store_scan_previous(struct store_scan *scan, struct bytes *ret_key, struct bytes *ret_value);

// The value under exactly this key, ERR_NOT_FOUND when there is none. Costs less than store_get when the key
// lies near the one before.
SB_MUST_CHECK
enum err store_scan_find(struct store_scan *scan, struct bytes key, struct bytes *ret_value);

// Numbers as keys: big-endian, so that their order is the numbers'. The array is the caller's; the bytes
// point into it.
struct bytes store_number(uint64_t number, uint8_t key[8]);
uint64_t store_number_of(struct bytes key);

#endif
