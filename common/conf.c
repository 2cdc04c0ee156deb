/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The directive table and the checked conversions behind it. Nothing here writes to a log or stops
 * at the first mistake: messages collect in a struct conf_errors, which also remembers what has
 * been applied during this reading, so that a repeated directive is noticed without state in the
 * table.
 */
#include "common/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define FILE_MAX ((size_t)16 << 20)

struct conf_seen {
	const struct conf_row *row;
	const void *target;
};

void
conf_errors_fini(struct conf_errors *e)
{
	free(e->text);
	free(e->seen);
	*e = (struct conf_errors){0};
}

/* Without memory the text is lost, never the count. */
static void
add_message(struct conf_errors *e, const char *file, unsigned line, const char *kind,
    const char *fmt, va_list ap)
{
	char where[16] = "", *message = NULL, *text;
	size_t add, room;

	if (line > 0)
		snprintf(where, sizeof(where), ":%u", line);
	if (vasprintf(&message, fmt, ap) < 0)
		return;
	room = strlen(file) + strlen(where) + strlen(kind) + strlen(message) + sizeof(": \n");
	text = realloc(e->text, e->len + room);
	if (text != NULL) {
		add = (size_t)snprintf(
		    text + e->len, room, "%s%s: %s%s\n", file, where, kind, message);
		e->text = text;
		e->len += add;
	}
	free(message);
}

void
conf_error(struct conf_errors *e, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	e->errors++;
	va_start(ap, fmt);
	add_message(e, file, line, "", fmt, ap);
	va_end(ap);
}

void
conf_warning(struct conf_errors *e, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	e->warnings++;
	va_start(ap, fmt);
	add_message(e, file, line, "warning: ", fmt, ap);
	va_end(ap);
}

int
conf_parse_uint(const char *s, unsigned min, unsigned max, unsigned *out)
{
	unsigned long v = 0;

	if (*s == '\0' || s[strspn(s, "0123456789")] != '\0') {
		errno = EINVAL;
		return -1;
	}
	for (; *s != '\0' && v <= UINT_MAX; s++)
		v = v * 10 + (unsigned long)(*s - '0');
	if (v < min || v > max) {
		errno = ERANGE;
		return -1;
	}
	*out = (unsigned)v;
	return 0;
}

int
conf_parse_ipv4(const char *s, uint32_t *out)
{
	struct in_addr a;

	if (inet_pton(AF_INET, s, &a) != 1) {
		errno = EINVAL;
		return -1;
	}
	*out = ntohl(a.s_addr);
	return 0;
}

bool
conf_is_host_ip(uint32_t ip)
{
	return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 29 != 7;
}

int
conf_compare_ips(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

const char *
conf_ipv4(uint32_t host_order)
{
	static _Thread_local char buffers[8][INET_ADDRSTRLEN];
	static _Thread_local unsigned turn;
	char *out = buffers[turn++ % 8];

	snprintf(out, INET_ADDRSTRLEN, "%u.%u.%u.%u", host_order >> 24, host_order >> 16 & 0xff,
	    host_order >> 8 & 0xff, host_order & 0xff);
	return out;
}

const struct conf_row *
conf_find(const struct conf_row *rows, size_t n_rows, const char *name)
{
	for (size_t i = 0; i < n_rows; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static unsigned
wanted_args(const struct conf_row *row)
{
	switch (row->type) {
	case CONF_FLAG:
		return 0;
	case CONF_UINT:
	case CONF_STRING:
	case CONF_IPV4:
		return 1;
	case CONF_CUSTOM:
	case CONF_IGNORED:
		break;
	}
	return row->n_args;
}

static void
note_repeat(const struct conf_row *row, const void *target, const struct conf_line *l)
{
	struct conf_errors *e = l->errors;
	struct conf_seen *seen;

	if (row->repeatable || row->type == CONF_IGNORED)
		return;
	for (size_t i = 0; i < e->n_seen; i++)
		if (e->seen[i].row == row && e->seen[i].target == target) {
			conf_warning(
			    e, l->file, l->line, "%s: given again, the last one wins", row->name);
			return;
		}
	seen = realloc(e->seen, (e->n_seen + 1) * sizeof(*seen));
	if (seen == NULL)
		return;
	e->seen = seen;
	seen[e->n_seen++] = (struct conf_seen){row, target};
}

int
conf_bad_value(const struct conf_line *l, const char *want)
{
	conf_error(l->errors, l->file, l->line, "%s: got \"%s\", want %s", l->name,
	    log_quote(l->args[0], strlen(l->args[0])), want);
	return -1;
}

static int
bad_value(const struct conf_row *row, const struct conf_line *l, const char *want)
{
	return conf_bad_value(l, row->want != NULL ? row->want : want);
}

static int
set_string(char **value, const struct conf_line *l)
{
	char *copy = strdup(l->args[0]);

	if (copy == NULL) {
		conf_error(l->errors, l->file, l->line, "%s: out of memory", l->name);
		return -1;
	}
	free(*value);
	*value = copy;
	return 0;
}

static int
set_value(const struct conf_row *row, void *target, const struct conf_line *l)
{
	void *value = (char *)target + row->offset;
	char range[32];

	switch (row->type) {
	case CONF_FLAG:
		*(bool *)value = true;
		return 0;
	case CONF_UINT:
		snprintf(range, sizeof(range), "%u..%u", row->min, row->max);
		if (conf_parse_uint(l->args[0], row->min, row->max, value) < 0)
			return bad_value(row, l, range);
		return 0;
	case CONF_STRING:
		return set_string(value, l);
	case CONF_IPV4:
		if (conf_parse_ipv4(l->args[0], value) < 0)
			return bad_value(row, l, "an IPv4 address");
		return 0;
	case CONF_CUSTOM:
		return row->parse(l, target);
	case CONF_IGNORED:
		break;
	}
	return 0;
}

const struct conf_row *
conf_apply(const struct conf_row *rows, size_t n_rows, void *target, const struct conf_line *l)
{
	const struct conf_row *row = conf_find(rows, n_rows, l->name);
	unsigned want;

	if (row == NULL) {
		conf_error(l->errors, l->file, l->line, "unknown directive \"%s\"",
		    log_quote(l->name, strlen(l->name)));
		return NULL;
	}
	want = wanted_args(row);
	if (l->n_args != want) {
		conf_error(l->errors, l->file, l->line, "%s: got %zu arguments, want %u%s%s",
		    row->name, l->n_args, want, row->want != NULL ? ": " : "",
		    row->want != NULL ? row->want : "");
		return NULL;
	}
	if (set_value(row, target, l) < 0)
		return NULL;
	note_repeat(row, target, l);
	return row;
}

/* The content may be secrets: a buffer that is given up is wiped. */
static void
wipe_free(char *buffer, size_t len)
{
	int saved_errno = errno;

	if (buffer != NULL)
		explicit_bzero(buffer, len);
	free(buffer);
	errno = saved_errno;
}

static char *
grow(char *old, size_t used, size_t *room)
{
	size_t new_room = *room > 0 ? 2 * *room : 4096;
	char *buffer = malloc(new_room + 1);

	if (buffer != NULL && used > 0)
		memcpy(buffer, old, used);
	wipe_free(old, used);
	*room = new_room;
	return buffer;
}

char *
conf_read_fd(int fd, size_t *len)
{
	char *buffer = NULL;
	size_t used = 0, room = 0;
	ssize_t n;

	for (;;) {
		if (used == room && (buffer = grow(buffer, used, &room)) == NULL)
			return NULL;
		n = read(fd, buffer + used, room - used);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto out;
		if (memchr(buffer + used, '\0', (size_t)n) != NULL) {
			errno = EINVAL;
			used += (size_t)n;
			goto out;
		}
		used += (size_t)n;
		if (used > FILE_MAX) {
			errno = EFBIG;
			goto out;
		}
	}
	buffer[used] = '\0';
	if (len != NULL)
		*len = used;
	return buffer;
out:
	wipe_free(buffer, used);
	return NULL;
}
