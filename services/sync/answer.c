#include "services/sync/answer.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// The value of a header line if it has the given name, without blanks at its ends; else NULL.
static const char *value_of(const char *line, size_t size, const char *name, size_t *ret_size)
{
    size_t length = strlen(name);
    if (size <= length || strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    const char *value = line + length + 1;
    const char *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    *ret_size = (size_t)(end - value);
    return value;
}

// Copies a value into its place; one that does not fit, or holds what no request could send back, counts as
// not said.
static void keep(char *place, size_t place_size, const char *value, size_t size)
{
    if (size >= place_size)
        size = 0;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)value[i] < ' ' || value[i] == '\x7f')
            size = 0;
    }
    memcpy(place, value, size);
    place[size] = '\0';
}

static bool is_tag(const char *etag)
{
    const char *opaque = strncmp(etag, "W/", 2) == 0 ? etag + 2 : etag;
    size_t size = strlen(opaque);
    return size >= 2 && opaque[0] == '"' && strchr(opaque + 1, '"') == opaque + size - 1;
}

static void read_range(struct answer *self, const char *value, size_t size)
{
    char text[96];
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t total = 0;
    keep(text, sizeof text, value, size);
    int read = sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &from, &to, &total);
    if (read < 2)
        return;
    self->ranged = true;
    self->range_from = from;
    self->range_total = read == 3 ? total : 0;
}

static void read_count(struct answer *self, const char *value, size_t size)
{
    uint64_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9' || count > (UINT64_MAX - 9) / 10)
            return;
        count = 10 * count + (uint64_t)(value[i] - '0');
    }
    self->counted = size > 0;
    self->records = count;
}

void answer_line(struct answer *self, const char *line, size_t size, const char *total_header)
{
    size_t length = 0;
    const char *value = NULL;
    if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        *self = (struct answer){.counted = false};
    } else if ((value = value_of(line, size, "ETag", &length)) != NULL) {
        keep(self->etag, sizeof self->etag, value, length);
        if (!is_tag(self->etag))
            self->etag[0] = '\0';
    } else if ((value = value_of(line, size, "Last-Modified", &length)) != NULL) {
        keep(self->last_modified, sizeof self->last_modified, value, length);
        if (curl_getdate(self->last_modified, NULL) <= 0)
            self->last_modified[0] = '\0';
    } else if ((value = value_of(line, size, "Date", &length)) != NULL) {
        char date[ANSWER_DATE_MAX];
        keep(date, sizeof date, value, length);
        int64_t date_s = curl_getdate(date, NULL);
        self->date_s = date_s > 0 ? date_s : 0;
    } else if ((value = value_of(line, size, "Accept-Ranges", &length)) != NULL) {
        self->ranges = length == 5 && strncasecmp(value, "bytes", 5) == 0;
    } else if ((value = value_of(line, size, "Content-Range", &length)) != NULL) {
        read_range(self, value, length);
    } else if (total_header != NULL && (value = value_of(line, size, total_header, &length)) != NULL) {
        read_count(self, value, length);
    }
}

bool answer_is_strong(const char *etag)
{
    return etag[0] == '"';
}

bool answer_same(const char *etag, const char *other)
{
    etag += strncmp(etag, "W/", 2) == 0 ? 2 : 0;
    other += strncmp(other, "W/", 2) == 0 ? 2 : 0;
    return strcmp(etag, other) == 0;
}

bool answer_dates_tell(const struct answer *self)
{
    return self->last_modified[0] != '\0' && self->date_s > curl_getdate(self->last_modified, NULL) + 1;
}
