#include "tools/erp/server.h"

#include "tools/erp/admin.h"
#include "tools/erp/export.h"
#include "tools/erp/reply.h"
#include "tools/erp/sale.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

int64_t steady_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}

enum waited erp_wait(struct erp *self, int fd, int64_t ms)
{
    struct pollfd fds[] = {{.fd = self->stop, .events = POLLIN}, {.fd = fd, .events = POLLRDHUP}};
    int64_t end = steady_ms() + ms;
    for (;;) {
        int64_t left = ms < 0 ? -1 : end - steady_ms();
        int got = poll(fds, 2, ms < 0 ? -1 : (int)(left < 0 ? 0 : left > 60000 ? 60000 : left));
        if (got > 0)
            return fds[0].revents != 0 ? STOPPING : CLIENT_GONE;
        if (ms >= 0 && steady_ms() >= end)
            return WAITED;
    }
}

static enum MHD_Result answer(struct request *request)
{
    if (request->too_large)
        return reply_text(request, MHD_HTTP_CONTENT_TOO_LARGE,
                          "this ERP takes no more than a megabyte at once");
    if (strncmp(request->path, "/export/", 8) == 0)
        return export_answer(request);
    if (strcmp(request->path, "/orders") == 0)
        return sale_answer(request);
    if (strncmp(request->path, "/admin/", 7) == 0)
        return admin_answer(request);
    return reply_text(request, MHD_HTTP_NOT_FOUND,
                      "here are /export/ENTITY.csv, /export/ENTITY.json, /orders, /admin/");
}

static struct request *begin(struct erp *erp, struct MHD_Connection *connection, const char *url,
                             const char *method)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    request->erp = erp;
    request->connection = connection;
    request->path = url;
    request->method = method;
    request->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    buffer_init(&request->body, BODY_MAX);
    return request;
}

static enum MHD_Result take(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                            const char *version, const char *data, size_t *size, void **state)
{
    (void)version;
    struct request *request = *state;
    if (request == NULL) { // the headers are in
        *state = begin(arg, connection, url, method);
        return *state != NULL ? MHD_YES : MHD_NO;
    }
    if (*size > 0) {
        if (buffer_add(&request->body, data, *size) != ERR_OK)
            request->too_large = true;
        *size = 0;
        return MHD_YES;
    }
    return answer(request);
}

static void completed(void *arg, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    (void)arg;
    (void)connection;
    (void)code;
    struct request *request = *state;
    *state = NULL;
    if (request == NULL)
        return;
    judge_end(&request->erp->judge, request->access);
    buffer_free(&request->body);
    free(request);
}

enum err server_start(struct erp *self, uint16_t *ret_port, struct fault *fault)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *address;
    int failed = getaddrinfo(self->options.host, self->options.port, &hints, &address);
    if (failed != 0)
        return fault_set(fault, ERR_IO, "--listen %s:%s: %s", self->options.host, self->options.port,
                         gai_strerror(failed));
    self->stop = eventfd(0, EFD_CLOEXEC);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    if (address->ai_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    errno = 0;
    self->daemon = MHD_start_daemon(flags, 0, NULL, NULL, take, self, MHD_OPTION_SOCK_ADDR, address->ai_addr,
                                    MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_NOTIFY_COMPLETED,
                                    completed, NULL, MHD_OPTION_END);
    freeaddrinfo(address);
    if (self->daemon == NULL) {
        close(self->stop);
        return fault_set(fault, ERR_IO, "--listen %s:%s: %s", self->options.host, self->options.port,
                         errno != 0 ? strerror(errno) : "the address cannot be listened on");
    }
    *ret_port = MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return ERR_OK;
}

void server_stop(struct erp *self)
{
    eventfd_write(self->stop, 1);
    MHD_stop_daemon(self->daemon);
    close(self->stop);
}
