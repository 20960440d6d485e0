// One option's text to its value: every way to write a scalar, each with its range.
#include "proto/base/duration.h"
#include "proto/base/utf8.h"
#include "proto/io/config_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096, IPC_PATH_MAX = 100, NEAREST_WORD_MAX = 64 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

// Number of letters to change, add, drop or swap with a neighbour to get from one word to the other.
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NEAREST_WORD_MAX + 1];
    size_t a_size = strlen(a), b_size = strlen(b);
    assert(a_size <= NEAREST_WORD_MAX);
    assert(b_size <= NEAREST_WORD_MAX);
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            row[j] = smallest(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two_before[j - 2] < row[j])
                row[j] = two_before[j - 2] + 1;
        }
    }
    return rows[a_size % 3][b_size];
}

const char *config_nearest(const char *word, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t size = strlen(word);
    size_t least = size / 3 + 2; // farther than this is another word
    if (size > NEAREST_WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) > NEAREST_WORD_MAX)
            continue;
        size_t far = distance(word, names[i]);
        if (far < least) {
            least = far;
            nearest = names[i];
        }
    }
    return nearest;
}

static enum err set_text(char **place, const char *text, struct fault *fault)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "no memory for it");
    *place = copy;
    return ERR_OK;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

// A port as the end of an address: digits only, 1..65535.
static bool is_port(const char *text)
{
    size_t size = strspn(text, "0123456789");
    if (size == 0 || size > 5 || text[size] != '\0')
        return false;
    long port = strtol(text, NULL, 10);
    return port >= 1 && port <= 65535;
}

static bool is_loopback(const char *host, size_t size)
{
    static const char *const names[] = {"localhost", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && strncmp(host, names[i], size) == 0)
            return true;
    if (size < strlen("127.0.0.1") || size > strlen("127.255.255.255") || !starts(host, "127."))
        return false;
    unsigned dots = 0, value = 0;
    for (size_t i = 0, digits = 0; i < size; i++) {
        if (host[i] == '.' && digits > 0) {
            dots++;
            digits = value = 0;
        } else if (host[i] >= '0' && host[i] <= '9' && digits < 3) {
            digits++;
            value = value * 10 + (unsigned)(host[i] - '0');
        } else {
            return false;
        }
        if (value > 255)
            return false;
    }
    return dots == 3 && host[size - 1] != '.';
}

static enum err check_endpoint(const char *text, struct fault *fault)
{
    if (starts(text, "ipc://")) {
        const char *path = text + strlen("ipc://");
        if (*path == '\0' || path[strlen(path) - 1] == '/')
            return fault_set(fault, ERR_INVALID, "\"%s\" names no file, as ipc:///run/syncbus/requests does",
                             text);
        if (*path == '@' || *path == '*')
            return fault_set(fault, ERR_INVALID, "\"%s\" is not a file: it could not be guarded", text);
        if (strlen(path) > IPC_PATH_MAX)
            return fault_set(fault, ERR_INVALID, "the path of a socket has at most %d bytes, this has %zu",
                             IPC_PATH_MAX, strlen(path));
        return ERR_OK;
    }
    if (starts(text, "tcp://")) {
        const char *host = text + strlen("tcp://");
        const char *colon = strrchr(host, ':');
        if (colon == NULL || !is_port(colon + 1))
            return fault_set(fault, ERR_INVALID, "\"%s\" is not tcp://HOST:PORT", text);
        if (!is_loopback(host, (size_t)(colon - host)))
            return fault_set(fault, ERR_INVALID,
                             "\"%s\" is refused: tcp only on loopback (127.0.0.1, [::1], localhost), not "
                             "elsewhere until encryption exists",
                             text);
        return ERR_OK;
    }
    return fault_set(fault, ERR_INVALID, "\"%s\" is neither ipc://PATH nor tcp://127.0.0.1:PORT", text);
}

static enum err check_url(const char *text, bool file, struct fault *fault)
{
    const char *rest = NULL;
    if (starts(text, "http://"))
        rest = text + strlen("http://");
    else if (starts(text, "https://"))
        rest = text + strlen("https://");
    else if (file && starts(text, "file:///"))
        rest = text + strlen("file:///");
    if (rest == NULL)
        return fault_set(fault, ERR_INVALID, "\"%s\" is not a URL that begins with http:// or https://%s",
                         text, file ? " or file:///" : "");
    if (*rest == '\0' || *rest == '/' || strpbrk(text, " \t\r\n") != NULL)
        return fault_set(fault, ERR_INVALID, "\"%s\" is not a whole URL", text);
    return ERR_OK;
}

bool config_is_token(const char *text)
{
    size_t size =
        strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return size > 0 && text[size] == '\0';
}

bool config_is_header_value(const char *text)
{
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == '\x7f')
            return false;
    }
    return true;
}

// Whether a URL can carry it as the name of a parameter: the signs between parameters are none of it.
static bool is_parameter(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~' || strchr("=&?#", *text) != NULL)
            return false;
    }
    return true;
}

static enum err check_length(const struct option_spec *option, size_t size, struct fault *fault)
{
    if (size < (size_t)option->min || (option->max > 0 && size > (size_t)option->max))
        return fault_set(fault, ERR_INVALID, "has %zu bytes; %lld to %lld are expected", size,
                         (long long)option->min, (long long)option->max);
    return ERR_OK;
}

enum err config_check_plain(const struct option_spec *option, const char *text, struct fault *fault)
{
    if (option->raw || utf8_plain(text, strlen(text)))
        return ERR_OK;
    return fault_set(fault, ERR_INVALID,
                     "holds a control character or one that turns the direction of writing");
}

static enum err check_text(const struct option_spec *option, const char *text, struct fault *fault)
{
    size_t size = strlen(text);
    if (size > TEXT_MAX)
        return fault_set(fault, ERR_INVALID, "is longer than %d bytes", TEXT_MAX);
    if (config_check_plain(option, text, fault) != ERR_OK)
        return ERR_INVALID;
    switch (option->type) {
    case OPTION_PATH:
        if (size == 0)
            return fault_set(fault, ERR_INVALID, "a path is expected, and this is empty");
        return ERR_OK;
    case OPTION_ENDPOINT: return check_endpoint(text, fault);
    case OPTION_EXPORT: return check_url(text, true, fault);
    case OPTION_URL: return check_url(text, false, fault);
    case OPTION_HEADER:
        if (!config_is_token(text))
            return fault_set(fault, ERR_INVALID, "\"%.64s\" cannot be the name of a header", text);
        break;
    case OPTION_PARAMETER:
        if (!is_parameter(text))
            return fault_set(fault, ERR_INVALID, "\"%.64s\" cannot be the name of a parameter in a URL",
                             text);
        break;
    default: break;
    }
    return check_length(option, size, fault);
}

static enum err check_range(const struct option_spec *option, int64_t value, const char *text,
                            struct fault *fault)
{
    if (value >= option->min && (option->max == 0 || value <= option->max))
        return ERR_OK;
    if (option->type == OPTION_DURATION) {
        char min[32], max[32];
        return fault_set(fault, ERR_INVALID, "%s is out of range: %s to %s", text,
                         duration_format(option->min, min, sizeof min),
                         duration_format(option->max, max, sizeof max));
    }
    if (option->max == 0)
        return fault_set(fault, ERR_INVALID, "%s is out of range: at least %lld", text,
                         (long long)option->min);
    return fault_set(fault, ERR_INVALID, "%s is out of range: %lld to %lld", text, (long long)option->min,
                     (long long)option->max);
}

static enum err set_duration(const struct option_spec *option, int64_t *place, const char *text,
                             struct fault *fault)
{
    int64_t value;
    enum err err = duration_parse(text, &value, fault);
    if (err == ERR_OK)
        err = check_range(option, value, text, fault);
    if (err == ERR_OK)
        *place = value;
    return err;
}

static enum err set_size(const struct option_spec *option, uint64_t *place, const char *text,
                         struct fault *fault)
{
    uint64_t value;
    enum err err = size_parse(text, &value, fault);
    if (err == ERR_OK && value > INT64_MAX)
        err = fault_set(fault, ERR_INVALID, "%s is out of range", text);
    if (err == ERR_OK)
        err = check_range(option, (int64_t)value, text, fault);
    if (err == ERR_OK)
        *place = value;
    return err;
}

static enum err set_count(const struct option_spec *option, uint32_t *place, const char *text,
                          struct fault *fault)
{
    size_t size = strspn(text, "0123456789");
    if (size == 0 || text[size] != '\0')
        return fault_set(fault, ERR_INVALID, "\"%.64s\" is not a whole number", text);
    if (size > 10)
        return fault_set(fault, ERR_INVALID, "%.64s is out of range: %lld to %lld", text,
                         (long long)option->min, (long long)option->max);
    int64_t value = strtoll(text, NULL, 10);
    enum err err = check_range(option, value, text, fault);
    if (err == ERR_OK)
        *place = (uint32_t)value;
    return err;
}

static enum err set_flag(bool *place, const char *text, struct fault *fault)
{
    if (strcmp(text, "true") == 0)
        *place = true;
    else if (strcmp(text, "false") == 0)
        *place = false;
    else
        return fault_set(fault, ERR_INVALID, "\"%.64s\" is neither true nor false", text);
    return ERR_OK;
}

static enum err refuse_choice(const struct option_spec *option, const char *text, struct fault *fault)
{
    const char *names[8];
    char list[160] = "";
    size_t count = 0, size = 0;
    for (const struct option_choice *choice = option->choices; choice->name != NULL; choice++) {
        assert(count < sizeof names / sizeof *names);
        names[count++] = choice->name;
        int added = snprintf(list + size, sizeof list - size, "%s%s", size == 0 ? "" : ", ", choice->name);
        assert(added > 0);
        size += (size_t)added;
        assert(size < sizeof list);
    }
    const char *nearest = config_nearest(text, names, count);
    if (nearest != NULL)
        return fault_set(fault, ERR_INVALID, "\"%.64s\" is none of %s; did you mean \"%s\"?", text, list,
                         nearest);
    return fault_set(fault, ERR_INVALID, "\"%.64s\" is none of %s", text, list);
}

static enum err set_choice(const struct option_spec *option, void *place, const char *text,
                           struct fault *fault)
{
    for (const struct option_choice *choice = option->choices; choice->name != NULL; choice++) {
        if (strcmp(choice->name, text) != 0)
            continue;
        if (choice->verdict == CHOICE_REFUSED)
            return fault_set(fault, ERR_INVALID, "\"%s\" %s", text, choice->why);
        *(int *)place = choice->value;
        return ERR_OK;
    }
    return refuse_choice(option, text, fault);
}

enum err config_set(const struct option_spec *option, void *target, const char *text, struct fault *fault)
{
    void *place = (char *)target + option->place;
    switch (option->type) {
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_ENDPOINT:
    case OPTION_EXPORT:
    case OPTION_HEADER:
    case OPTION_PARAMETER:
    case OPTION_URL: {
        enum err err = check_text(option, text, fault);
        return err == ERR_OK ? set_text(place, text, fault) : err;
    }
    case OPTION_DURATION: return set_duration(option, place, text, fault);
    case OPTION_COUNT: return set_count(option, place, text, fault);
    case OPTION_SIZE: return set_size(option, place, text, fault);
    case OPTION_SHARE: return share_parse(text, place, fault);
    case OPTION_FLAG: return set_flag(place, text, fault);
    case OPTION_CHOICE: return set_choice(option, place, text, fault);
    default: return fault_set(fault, ERR_INVALID, "a single value is not expected here");
    }
}

enum err config_set_default(const struct option_spec *option, void *target)
{
    enum err err = ERR_OK;
    if (option->fallback != NULL)
        err = config_set(option, target, option->fallback, NULL);
    assert(err == ERR_OK || err == ERR_NO_MEMORY);
    return err;
}
