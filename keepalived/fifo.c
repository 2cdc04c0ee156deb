/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * keepalived's notify lines: see fifo.h. The words are separated by one space each; nothing else is
 * accepted, so that half a line never passes for a whole one.
 */
#include "keepalived/fifo.h"

#include <errno.h>
#include <string.h>

static const char *const events[FIFO_N_EVENTS] = {
    [FIFO_MASTER] = "MASTER",
    [FIFO_BACKUP] = "BACKUP",
    [FIFO_FAULT] = "FAULT",
    [FIFO_STOP] = "STOP",
    [FIFO_DELETED] = "DELETED",
    [FIFO_MASTER_PRIORITY] = "MASTER_PRIORITY",
    [FIFO_BACKUP_PRIORITY] = "BACKUP_PRIORITY",
    [FIFO_MASTER_RX_LOWER_PRI] = "MASTER_RX_LOWER_PRI",
};

struct text {
	const char *p;
	size_t n;
};

/* Cuts the next word off, and the space behind it; the last word has none. Empty = there is none.
 */
static struct text
word(struct text *rest, bool last)
{
	const char *space = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
	size_t n = space ? (size_t)(space - rest->p) : rest->n;
	struct text result = {rest->p, n};

	if (last != !space)
		return (struct text){NULL, 0};
	rest->p += n + !last;
	rest->n -= n + !last;
	return result;
}

/* A name in quotes may hold spaces. */
static struct text
name(struct text *rest)
{
	if (rest->n == 0 || *rest->p != '"')
		return word(rest, false);
	const char *quote = memchr(rest->p + 1, '"', rest->n - 1);
	if (!quote)
		return (struct text){NULL, 0};
	struct text result = {rest->p + 1, (size_t)(quote - rest->p) - 1};
	rest->n -= result.n + 2;
	rest->p = quote + 1;
	if (rest->n == 0 || *rest->p != ' ')
		return (struct text){NULL, 0};
	rest->p++;
	rest->n--;
	return result;
}

static bool
is(struct text t, const char *s)
{
	return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0;
}

static bool
number(struct text t, unsigned *out)
{
	unsigned value = 0;

	if (t.n == 0 || t.n > 3)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		value = value * 10 + (unsigned)(t.p[i] - '0');
	}
	*out = value;
	return value <= 255;
}

int
fifo_parse(const char *line, size_t len, struct fifo_line *out)
{
	struct text rest = {line, len};
	struct text kind = word(&rest, false), named = name(&rest), event = word(&rest, false);
	struct fifo_line result = {.group = is(kind, "GROUP")};
	unsigned i = 0;

	if ((!result.group && !is(kind, "INSTANCE")) || named.n == 0 ||
	    named.n >= sizeof(result.name) || memchr(named.p, '\0', named.n))
		goto bad;
	while (i < FIFO_N_EVENTS && !is(event, events[i]))
		i++;
	if (i == FIFO_N_EVENTS || !number(word(&rest, true), &result.priority))
		goto bad;
	memcpy(result.name, named.p, named.n);
	result.event = (enum fifo_event)i;
	*out = result;
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}

const char *
fifo_event_name(enum fifo_event event)
{
	return events[event];
}

void
fifo_feed(struct fifo_buffer *b, const char *bytes, size_t len,
    void (*on_line)(const struct fifo_line *line, const char *text, size_t text_len, void *arg),
    void *arg)
{
	for (; len > 0; bytes++, len--) {
		struct fifo_line line;

		if (*bytes != '\n') {
			if (b->n < sizeof(b->text) - 1)
				b->text[b->n++] = *bytes;
			else
				b->skipping = true;
			continue;
		}
		bool good = !b->skipping && fifo_parse(b->text, b->n, &line) == 0;
		on_line(good ? &line : NULL, b->text, b->n, arg);
		b->n = 0;
		b->skipping = false;
	}
}
