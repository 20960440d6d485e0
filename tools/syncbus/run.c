// `syncbus run`: a command under the exclusive lease.
//
//   run (keeper: holds the lease) ──pipe──► guard (leads the command's process group) ──► command
//
// The lease and the command must end together. The keeper ends the group when the lease is lost. Through the
// pipe it tells the guard until when the lease is good; the guard ends the group when that time is over,
// because the keeper was stopped, and when the pipe closes, because the keeper died.
#include "tools/syncbus/cli.h"

#include "proto/base/utf8.h"
#include "proto/io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    EXIT_NOT_GRANTED = 124,
    EXIT_SYNCBUS_FAILED = 125,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NO_COMMAND = 127,
    EXIT_SIGNAL = 128,
    POLL_MAX_MS = 60000,
    TELL_STEP_MS = 20,   // smaller changes of the lease's end are not worth telling
    KILL_AFTER_MS = 500, // between TERM and KILL: less than the margin and the delay of a lease that ended
};

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

static int exit_of_wait(int status)
{
    return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

// A descriptor that tells of the end of a child and of the signals that end programs.
static int signals_open(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
        (void)sigaddset(&set, passed_on[i]);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Starts a program with no signal blocked; in a group of its own if asked. 0 or an errno value.
static int spawn(const char *file, char *const *words, bool own_group, bool search, pid_t *ret)
{
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    int error = posix_spawnattr_init(&attributes);
    if (error != 0)
        return error;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (own_group)
        flags = (short)(flags | POSIX_SPAWN_SETPGROUP);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setflags(&attributes, flags);
    error = search ? posix_spawnp(ret, file, NULL, &attributes, words, environ)
                   : posix_spawn(ret, file, NULL, &attributes, words, environ);
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

// ---------------------------------------------------------------- the guard

// Reads until when the lease is good; a keeper that has died leaves it good until now.
static void guard_read(int keeper, int64_t *good_until)
{
    int64_t told;
    ssize_t size;
    while ((size = read(keeper, &told, sizeof told)) == (ssize_t)sizeof told)
        *good_until = told;
    if (size == 0)
        *good_until = 0;
}

// Waits for the command's end, or for the lease's. Signals reach the command by the group itself.
static int guard_wait(pid_t command, int keeper, int signals)
{
    int64_t good_until = INT64_MAX, kill_at = INT64_MAX;
    for (;;) {
        struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = keeper, .events = POLLIN}};
        const bool ending = kill_at != INT64_MAX;
        const int64_t left = (ending ? kill_at : good_until) - clock_boot_ms();
        (void)poll(fds, ending ? 1 : 2, left < 0 ? 0 : left > POLL_MAX_MS ? POLL_MAX_MS : (int)left);
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof info) > 0)
            ;
        int status = 0;
        if (waitpid(command, &status, WNOHANG) == command && !ending)
            return exit_of_wait(status);
        guard_read(keeper, &good_until);
        if (!ending && clock_boot_ms() >= good_until) {
            (void)kill(0, SIGTERM);
            kill_at = clock_boot_ms() + KILL_AFTER_MS;
        } else if (clock_boot_ms() >= kill_at) {
            (void)kill(0, SIGKILL); // the whole group, this guard with it
        }
    }
}

int run_guard(int argc, char **argv)
{
    if (argc < 2) {
        say(stderr, "syncbus: run-guard is for `syncbus run` alone\n");
        return EXIT_CODE_USAGE;
    }
    const int keeper = (int)strtol(argv[0], NULL, 10);
    (void)fcntl(keeper, F_SETFD, FD_CLOEXEC);
    (void)fcntl(keeper, F_SETFL, O_NONBLOCK);
    const int signals = signals_open();
    pid_t command = 0;
    int error = signals < 0 ? errno : spawn(argv[1], argv + 1, false, true, &command);
    if (error != 0) {
        say(stderr, "syncbus: %s: %s\n", argv[1], strerror(error));
        return error == ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE;
    }
    return guard_wait(command, keeper, signals);
}

// ---------------------------------------------------------------- the keeper

// What the keeper holds while the command runs.
struct keeper {
    struct cli *cli;
    uint64_t claim;  // of the lease
    int signals;     // signalfd
    pid_t group;     // the guard, and the group that it leads
    int guard;       // writing end of the pipe to it
    int64_t told;    // until when the lease is good, as the guard knows it; BOOTTIME ms
    int64_t kill_at; // BOOTTIME ms when the group is killed; INT64_MAX: not asked to end
    bool lost;       // the lease was lost
};

// Whether a refusal says that the lease cannot be had now, and not that something is wrong.
static bool is_for_now(enum syncbus_code code)
{
    return code == SYNCBUS_TIMEOUT || code == SYNCBUS_PAUSE_TIMEOUT || code == SYNCBUS_ON_HOLD;
}

// Waits for the lease; 0 when it is held, or an exit code after it said why not.
static int await_lease(struct keeper *self, uint64_t *ret_token)
{
    struct cli *cli = self->cli;
    const int64_t until = cli_until(cli->timeout_ms);
    char said[256] = "";
    bool connected = false;
    for (;;) {
        struct signalfd_siginfo info;
        if (read(self->signals, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo != SIGCHLD) {
            syncbus_withdraw(cli->client, self->claim);
            return EXIT_SIGNAL + (int)info.ssi_signo;
        }
        const int64_t left = until - clock_boot_ms();
        if (left <= 0) {
            syncbus_withdraw(cli->client, self->claim);
            say(stderr, "syncbus: %s\n",
                connected ? "the lease was not granted in time" : "the broker does not answer");
            return connected ? EXIT_NOT_GRANTED : EXIT_SYNCBUS_FAILED;
        }
        struct syncbus_notice notice;
        if (syncbus_wait(cli->client, left < 200 ? left : 200, &notice) != 1)
            continue;
        if (notice.kind == SYNCBUS_CONNECTED)
            connected = true;
        if (notice.kind == SYNCBUS_WAITING && notice.claim == self->claim)
            cli_say_waiting(said, notice.position, notice.eta_ms, notice.blockers, notice.blocker_count);
        if (notice.kind == SYNCBUS_GRANTED && notice.claim == self->claim) {
            *ret_token = notice.token;
            return 0;
        }
        if (notice.kind == SYNCBUS_REFUSED && notice.claim == self->claim) {
            say(stderr, "syncbus: %s\n", notice.text);
            return is_for_now(notice.code) ? EXIT_NOT_GRANTED : EXIT_SYNCBUS_FAILED;
        }
    }
}

// Starts the guard with the command; the pipe's other end stays with the keeper until its own end.
static int start_command(struct keeper *self, uint64_t token)
{
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0)
        return errno;
    char number[24], descriptor[16];
    (void)snprintf(number, sizeof number, "%" PRIu64, token);
    (void)snprintf(descriptor, sizeof descriptor, "%d", pipe_ends[0]);
    (void)setenv("SYNCBUS_TOKEN", number, 1);
    char *words[CLI_WORDS_MAX + 4] = {(char *)"syncbus", (char *)"run-guard", descriptor};
    for (size_t i = 1; i < self->cli->word_count; i++)
        words[i + 2] = (char *)self->cli->words[i];
    // Only the reading end goes to the guard, and it closes it on the way to the command.
    (void)fcntl(pipe_ends[1], F_SETFD, FD_CLOEXEC);
    (void)fcntl(pipe_ends[1], F_SETFL, O_NONBLOCK);
    self->guard = pipe_ends[1];
    int error = spawn("/proc/self/exe", words, true, false, &self->group);
    (void)close(pipe_ends[0]);
    if (error == 0 && isatty(STDIN_FILENO)) {
        (void)signal(SIGTTOU, SIG_IGN);
        (void)tcsetpgrp(STDIN_FILENO, self->group);
    }
    return error;
}

// Tells the guard until when the lease is good, when that has changed. A full pipe is no matter: the guard
// acts on what it knows.
static void tell_guard(struct keeper *self)
{
    const int64_t left = syncbus_left_ms(self->cli->client, self->claim);
    const int64_t until = clock_boot_ms() + left;
    if (left <= 0 || (until > self->told - TELL_STEP_MS && until < self->told + TELL_STEP_MS))
        return;
    if (write(self->guard, &until, sizeof until) == (ssize_t)sizeof until)
        self->told = until;
}

// Sleeps until something can have happened: a signal, a child's end, word of the broker, a deadline.
static void sleep_until_something(const struct keeper *self)
{
    struct pollfd fds[8] = {{.fd = self->signals, .events = POLLIN}};
    const size_t count = syncbus_fds(self->cli->client, fds + 1, 7);
    int64_t until = syncbus_deadline_ms(self->cli->client);
    if (self->kill_at < until)
        until = self->kill_at;
    const int64_t left = until - clock_boot_ms();
    (void)poll(fds, count + 1, left < 0 ? 0 : left > 1000 ? 1000 : (int)left);
}

// Takes the lease's loss and the signals that came; the lease is renewed inside syncbus_next.
static void turn(struct keeper *self)
{
    struct syncbus_notice notice;
    while (syncbus_next(self->cli->client, &notice) == 1) {
        if (notice.kind != SYNCBUS_LOST || notice.claim != self->claim || self->lost)
            continue;
        self->lost = true;
        say(stderr, "syncbus: the lease was lost (%s); the command is ended\n", notice.text);
        (void)kill(-self->group, SIGTERM);
        self->kill_at = clock_boot_ms() + KILL_AFTER_MS;
    }
    tell_guard(self);
    sleep_until_something(self);
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGCHLD)
            (void)kill(-self->group, (int)info.ssi_signo);
    }
    if (clock_boot_ms() >= self->kill_at) {
        (void)kill(-self->group, SIGKILL);
        self->kill_at = INT64_MAX;
    }
}

// Ends what the command left behind in its group, and waits until nothing of it is at work: only then may the
// lease go. Orphans come to the keeper, which is their subreaper.
static void end_leftovers(struct keeper *self)
{
    (void)kill(-self->group, SIGKILL);
    for (;;) {
        const pid_t ended = waitpid(-self->group, NULL, WNOHANG);
        if (ended < 0)
            return;
        if (ended == 0)
            turn(self);
    }
}

// Keeps the lease until the command has ended; the exit code.
static int keep(struct keeper *self)
{
    int status = 0;
    while (waitpid(self->group, &status, WNOHANG) != self->group)
        turn(self);
    // Whoever was stopped for long finds the lease over and the command ended by the guard.
    const bool over = self->lost || syncbus_left_ms(self->cli->client, self->claim) <= 0;
    end_leftovers(self);
    if (isatty(STDIN_FILENO))
        (void)tcsetpgrp(STDIN_FILENO, getpgrp());
    syncbus_release(self->cli->client, self->claim, false);
    return over ? EXIT_SYNCBUS_FAILED : exit_of_wait(status);
}

// The resource named, or the only one; NULL after it said what is wrong.
static const char *choose_resource(const struct cli *cli)
{
    struct fault fault = {0};
    if (cli->resource == NULL && cli->config->resource_count == 1)
        return cli->config->resources[0].name;
    if (cli->resource == NULL)
        say(stderr, "syncbus: there are %zu resources: say --resource\n", cli->config->resource_count);
    else if (config_resource(cli->config, cli->resource, &fault) == NULL)
        say(stderr, "syncbus: %s\n", fault.text);
    else
        return cli->resource;
    return NULL;
}

int command_run(struct cli *cli)
{
    const char *resource = choose_resource(cli);
    if (resource == NULL)
        return EXIT_CODE_USAGE;
    struct keeper keeper = {.cli = cli, .signals = signals_open(), .kill_at = INT64_MAX};
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)signal(SIGPIPE, SIG_IGN); // a guard that was killed is seen by its end
    if (keeper.signals < 0 || !cli_connect(cli, NULL, true))
        return EXIT_SYNCBUS_FAILED;
    const char *name = cli->words[1];
    const bool tellable = strlen(name) <= WIRE_TEXT_MAX && utf8_plain(name, strlen(name));
    const struct syncbus_wish wish = {.resource = resource,
                                      .mode = SYNCBUS_EXCLUSIVE,
                                      .reason = tellable ? name : "a command",
                                      .wait_ms = 0};
    keeper.claim = syncbus_acquire(cli->client, &wish);
    if (keeper.claim == 0) {
        say(stderr, "syncbus: the lease cannot be asked for: %s\n", strerror(errno));
        return EXIT_SYNCBUS_FAILED;
    }
    uint64_t token = 0;
    int code = await_lease(&keeper, &token);
    if (code != 0)
        return code;
    int error = start_command(&keeper, token);
    if (error != 0) {
        say(stderr, "syncbus: the command cannot be started: %s\n", strerror(error));
        syncbus_release(cli->client, keeper.claim, false);
        return EXIT_SYNCBUS_FAILED;
    }
    return keep(&keeper);
}
