#include "broker/net.h"

#include "broker/accept.h"
#include "broker/envelope.h"
#include "broker/peers.h"
#include "broker/subscriptions.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

enum {
    SUBSCRIPTIONS_BATCH = 1000, // read in one turn, so that their sender cannot hold up requests
    SUBSCRIPTION_BYTES = 1024,  // of a frame to the events: room for a topic and for zmq's own commands
    QUEUE_MAX = 10000,          // messages to one subscriber
    BACKLOG = 512,              // connections that wait to be taken
    PATH_BYTES_MAX = 256,
};

struct net {
    void *context;       // of zmq
    void *requests;      // ROUTER
    void *events;        // XPUB
    int requests_lock;   // descriptor of the lock file, or -1
    int events_lock;     // alike
    struct peers *peers; // who asked
    zmq_msg_t body;      // of the request that was received last

    struct subscriptions json; // what is wanted as JSON
};

// Makes the folders above a file, for the owner and its group.
static enum err make_folders(const char *path, struct fault *fault)
{
    char folder[PATH_BYTES_MAX];
    struct stat status;
    int size = snprintf(folder, sizeof folder, "%s", path);
    if (size < 0 || (size_t)size >= sizeof folder)
        return fault_set(fault, ERR_INVALID, "%s: the path is too long", path);
    char *last = strrchr(folder, '/');
    if (last == NULL || last == folder)
        return ERR_OK;
    *last = '\0';
    for (char *slash = folder;; *slash = '/') {
        slash = strchr(slash + 1, '/');
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(folder, 0750) != 0 && errno != EEXIST)
            return fault_set(fault, ERR_IO, "%s: the folder cannot be made: %s", folder, strerror(errno));
        if (slash == NULL)
            break;
    }
    if (stat(folder, &status) != 0)
        return fault_set(fault, ERR_IO, "%s: %s", folder, strerror(errno));
    if (status.st_mode & S_IWOTH)
        return fault_set(
            fault, ERR_REFUSED,
            "%s: everybody may write there, so anybody could take the socket's place; use a folder "
            "with mode 0750",
            folder);
    return ERR_OK;
}

// Holds FILE.lock, so that a second broker does not steal the socket of a living one.
static enum err lock_file(const char *path, int *ret, struct fault *fault)
{
    char name[PATH_BYTES_MAX];
    enum err err = make_folders(path, fault);
    if (err != ERR_OK)
        return err;
    (void)snprintf(name, sizeof name, "%s.lock", path);
    int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (lock < 0)
        return fault_set(fault, ERR_IO, "%s: %s", name, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        (void)close(lock);
        if (error == EWOULDBLOCK)
            return fault_set(fault, ERR_BUSY, "ipc://%s: another broker listens there", path);
        return fault_set(fault, ERR_IO, "%s: %s", name, strerror(error));
    }
    *ret = lock;
    return ERR_OK;
}

static void set(void *socket, int option, int value)
{
    int done = zmq_setsockopt(socket, option, &value, sizeof value);
    assert(done == 0);
}

static enum err bind_socket(void *socket, const char *endpoint, int *ret_lock, struct fault *fault)
{
    static const char ipc[] = "ipc://", localhost[] = "tcp://localhost:";
    char address[PATH_BYTES_MAX];
    const char *path = strncmp(endpoint, ipc, strlen(ipc)) == 0 ? endpoint + strlen(ipc) : NULL;
    // zmq binds to addresses, not to names.
    if (strncmp(endpoint, localhost, strlen(localhost)) == 0)
        (void)snprintf(address, sizeof address, "tcp://127.0.0.1:%s", endpoint + strlen(localhost));
    else
        (void)snprintf(address, sizeof address, "%s", endpoint);
    if (strncmp(endpoint, "tcp://[", strlen("tcp://[")) == 0)
        set(socket, ZMQ_IPV6, 1);
    if (path != NULL) {
        enum err err = lock_file(path, ret_lock, fault);
        if (err != ERR_OK)
            return err;
    }
    if (zmq_bind(socket, address) != 0)
        return fault_set(fault, errno == EADDRINUSE ? ERR_BUSY : ERR_IO, "%s: cannot listen there: %s",
                         endpoint, zmq_strerror(errno));
    if (path != NULL && chmod(path, 0660) != 0)
        return fault_set(fault, ERR_IO, "%s: %s", path, strerror(errno));
    return ERR_OK;
}

static enum err open_sockets(struct net *self, const struct net_options *options, struct fault *fault)
{
    self->context = zmq_ctx_new();
    if (self->context == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "no zmq context: %s", zmq_strerror(errno));
    self->requests = zmq_socket(self->context, ZMQ_ROUTER);
    self->events = self->requests == NULL ? NULL : zmq_socket(self->context, ZMQ_XPUB);
    if (self->events == NULL)
        return fault_set(fault, ERR_IO, "no socket: %s", zmq_strerror(errno));
    // MANDATORY tells what cannot be delivered; identities are never handed over from one to another.
    set(self->requests, ZMQ_ROUTER_MANDATORY, 1);
    set(self->requests, ZMQ_BACKLOG, BACKLOG);
    set(self->events, ZMQ_BACKLOG, BACKLOG);
    set(self->events, ZMQ_SNDHWM, QUEUE_MAX);
    void *const sockets[] = {self->requests, self->events};
    // zmq keeps each subscription of each connection: what is longer than any topic costs the connection.
    const int64_t frame_max[] = {(int64_t)options->frame_max, SUBSCRIPTION_BYTES};
    for (size_t i = 0; i < 2; i++) {
        int done = zmq_setsockopt(sockets[i], ZMQ_MAXMSGSIZE, &frame_max[i], sizeof frame_max[i]);
        assert(done == 0);
        set(sockets[i], ZMQ_LINGER, 0);
    }
    enum err err = bind_socket(self->requests, options->requests, &self->requests_lock, fault);
    return err == ERR_OK ? bind_socket(self->events, options->events, &self->events_lock, fault) : err;
}

enum err net_open(const struct net_options *options, struct net **ret, struct fault *fault)
{
    struct net *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    self->requests_lock = self->events_lock = -1;
    (void)zmq_msg_init(&self->body);
    size_t peers_max = options->peers_max < PEERS_MAX ? options->peers_max : PEERS_MAX;
    enum err err = peers_new(peers_max, &self->peers);
    if (err != ERR_OK)
        fault_set(fault, err, "no memory for %zu peers", peers_max);
    else
        err = accept_guard(fault);
    if (err == ERR_OK)
        err = open_sockets(self, options, fault);
    if (err != ERR_OK) {
        net_close(&self, 0);
        return err;
    }
    *ret = self;
    return ERR_OK;
}

void net_close(struct net **self_p, int linger_ms)
{
    struct net *self = *self_p;
    if (self == NULL)
        return;
    (void)zmq_msg_close(&self->body);
    void *const sockets[] = {self->requests, self->events};
    for (size_t i = 0; i < 2; i++) {
        if (sockets[i] == NULL)
            continue;
        set(sockets[i], ZMQ_LINGER, linger_ms);
        (void)zmq_close(sockets[i]);
    }
    if (self->context != NULL)
        while (zmq_ctx_term(self->context) != 0 && errno == EINTR)
            ;
    if (self->requests_lock >= 0)
        (void)close(self->requests_lock);
    if (self->events_lock >= 0)
        (void)close(self->events_lock);
    peers_destroy(&self->peers);
    free(self);
    *self_p = NULL;
}

// Which topics are sent to whom is the socket's own matter; what is wanted as JSON is noted.
static void take_subscriptions(struct net *self)
{
    char bytes[SUBSCRIPTION_BYTES + 1];
    for (int i = 0; i < SUBSCRIPTIONS_BATCH; i++) {
        int size = zmq_recv(self->events, bytes, sizeof bytes, ZMQ_DONTWAIT);
        if (size < 0)
            return;
        subscriptions_take(&self->json, bytes, (size_t)size < sizeof bytes ? (size_t)size : sizeof bytes);
    }
}

enum err net_wait(struct net *self, const int *fds, size_t count, bool requests, int timeout_ms,
                  struct fault *fault)
{
    zmq_pollitem_t items[NET_FDS_MAX + 2];
    int used = 0;
    assert(count <= NET_FDS_MAX);
    for (size_t i = 0; i < count; i++)
        items[used++] = (zmq_pollitem_t){.fd = fds[i], .events = ZMQ_POLLIN};
    items[used++] = (zmq_pollitem_t){.socket = self->events, .events = ZMQ_POLLIN};
    if (requests)
        items[used++] = (zmq_pollitem_t){.socket = self->requests, .events = ZMQ_POLLIN};
    if (zmq_poll(items, used, timeout_ms) < 0 && errno != EINTR)
        return fault_set(fault, ERR_IO, "the sockets cannot be waited for: %s", zmq_strerror(errno));
    take_subscriptions(self);
    return ERR_OK;
}

// Reads the frames of one message, of which the first ENVELOPE_FRAMES_MAX are kept; false when there is none.
static bool read_frames(struct net *self, zmq_msg_t frames[ENVELOPE_FRAMES_MAX], size_t *ret_count)
{
    size_t count = 0;
    zmq_msg_t further;
    (void)zmq_msg_init(&further);
    for (int more = 1; more; count++) {
        zmq_msg_t *frame = count < ENVELOPE_FRAMES_MAX ? &frames[count] : &further;
        int size;
        do
            size = zmq_msg_recv(frame, self->requests, ZMQ_DONTWAIT);
        while (size < 0 && errno == EINTR);
        if (size < 0)
            break;
        more = zmq_msg_more(frame);
    }
    (void)zmq_msg_close(&further);
    *ret_count = count;
    return count > 0;
}

enum err net_receive(struct net *self, struct net_frame *ret, struct fault *fault)
{
    zmq_msg_t frames[ENVELOPE_FRAMES_MAX];
    size_t count = 0;
    enum err err = ERR_OK;
    for (size_t i = 0; i < ENVELOPE_FRAMES_MAX; i++)
        (void)zmq_msg_init(&frames[i]);
    if (!read_frames(self, frames, &count)) {
        err = errno == EAGAIN ? ERR_NOT_FOUND
                              : fault_set(fault, ERR_IO, "requests cannot be read: %s", zmq_strerror(errno));
        goto end;
    }
    size_t sizes[ENVELOPE_FRAMES_MAX];
    struct envelope envelope;
    for (size_t i = 0; i < ENVELOPE_FRAMES_MAX; i++)
        sizes[i] = zmq_msg_size(&frames[i]);
    err = envelope_read(sizes, count, &envelope);
    if (err != ERR_OK) { // nobody waits for an answer; what came behind it is read in the next turn
        err = ERR_NOT_FOUND;
        goto end;
    }
    struct peer *peer = peers_meet(self->peers, zmq_msg_data(&frames[0]), sizes[0]);
    peer->delimiter = envelope.delimiter;
    (void)zmq_msg_move(&self->body, &frames[envelope.body]);
    *ret = (struct net_frame){.peer = peer->number,
                              .data = zmq_msg_data(&self->body),
                              .size = zmq_msg_size(&self->body),
                              .malformed = envelope.malformed};
end:
    for (size_t i = 0; i < ENVELOPE_FRAMES_MAX; i++)
        (void)zmq_msg_close(&frames[i]);
    return err;
}

static bool send_frame(void *socket, const void *data, size_t size, int flags)
{
    int done;
    do
        done = zmq_send(socket, data, size, flags | ZMQ_DONTWAIT);
    while (done < 0 && errno == EINTR);
    return done >= 0;
}

enum err net_reply(struct net *self, uint64_t number, const void *data, size_t size)
{
    const struct peer *peer = peers_find(self->peers, number);
    if (peer == NULL)
        return ERR_UNREACHABLE;
    if (!send_frame(self->requests, peer->identity, peer->identity_size, ZMQ_SNDMORE)) {
        peers_forget(self->peers, number);
        return ERR_UNREACHABLE;
    }
    if ((!peer->delimiter || send_frame(self->requests, "", 0, ZMQ_SNDMORE)) &&
        send_frame(self->requests, data, size, 0))
        return ERR_OK;
    return ERR_UNREACHABLE;
}

void net_publish(struct net *self, const char *topic, const void *data, size_t size)
{
    // A publication that cannot be sent is one that was missed: the beat and the snapshot repair that.
    if (send_frame(self->events, topic, strlen(topic), ZMQ_SNDMORE))
        (void)send_frame(self->events, data, size, 0);
}

bool net_wants_json(const struct net *self, const char *topic)
{
    return subscriptions_want(&self->json, topic);
}
