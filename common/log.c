/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The log. A line is built on the stack and leaves in one write(), so threads need no lock. Nothing
 * here opens a file (the time is UTC by our own arithmetic: the C library's conversions read the
 * zone file) and nothing waits for long: a sink that stays full costs lines, which are counted and
 * reported once it moves again.
 */
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES    2048
#define FULL_SINK_WAIT_MS 20
#define QUOTE_MAX         96

enum level {
	LEVEL_ERROR = 3, /* the numbers are syslog's, as the journal's prefix wants them */
	LEVEL_WARN = 4,
	LEVEL_INFO = 6,
	LEVEL_DEBUG = 7,
};

static struct {
	char name[64];
	int fd;
	bool journal;
	atomic_bool debug;
	atomic_uint dropped;
} sink = {.fd = STDERR_FILENO};

static const char *
level_word(enum level level)
{
	switch (level) {
	case LEVEL_ERROR:
		return "error";
	case LEVEL_WARN:
		return "warning";
	case LEVEL_INFO:
		return "info";
	case LEVEL_DEBUG:
		return "debug";
	}
	return "?";
}

/* JOURNAL_STREAM names the journal's socket as device:inode; it counts only if fd is that one. */
static bool
is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	if (stream == NULL || sscanf(stream, "%ju:%ju", &dev, &ino) != 2 || fstat(fd, &st) < 0)
		return false;
	return st.st_dev == dev && st.st_ino == ino;
}

void
log_init(const char *name, int fd, bool debug)
{
	snprintf(sink.name, sizeof(sink.name), "%s", name);
	sink.fd = fd < 0 ? STDERR_FILENO : fd;
	sink.journal = is_journal(sink.fd);
	log_set_debug(debug);
}

void
log_set_debug(bool debug)
{
	atomic_store_explicit(&sink.debug, debug, memory_order_relaxed);
}

bool
log_debugging(void)
{
	return atomic_load_explicit(&sink.debug, memory_order_relaxed);
}

/* Days since 1970 to a Gregorian date, with years that begin in March so that leap days come last.
 */
static void
civil_date(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t m = (5 * doy + 2) / 153;

	*day = (int)(doy - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = (int)(yoe + era * 400 + (*month <= 2));
}

static int
format_prefix(char *line, size_t size, enum level level)
{
	struct timespec now;
	int year, month, day, second;

	if (sink.journal)
		return snprintf(
		    line, size, "<%d>%s %s: ", (int)level, sink.name, level_word(level));
	clock_gettime(CLOCK_REALTIME, &now);
	civil_date(now.tv_sec / 86400, &year, &month, &day);
	second = (int)(now.tv_sec % 86400);
	return snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s: ", year, month, day,
	    second / 3600, second / 60 % 60, second % 60, (int)(now.tv_nsec / 1000000), sink.name,
	    level_word(level));
}

/* A pipe or socket whose reader sleeps must not stop us: after one short wait, lines are dropped.
 */
static bool
put_line(const char *line, size_t len)
{
	struct pollfd p = {.fd = sink.fd, .events = POLLOUT};
	bool stuck = atomic_load(&sink.dropped) > 0;

	if (poll(&p, 1, stuck ? 0 : FULL_SINK_WAIT_MS) == 0)
		return false;
	return write(sink.fd, line, len) >= 0 || errno != EAGAIN;
}

static void
emit(enum level level, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	int saved_errno = errno, n;
	size_t start = (size_t)format_prefix(line, sizeof(line) - 4, level), len;
	unsigned dropped;

	errno = saved_errno; /* for %m */
	n = vsnprintf(line + start, sizeof(line) - 4 - start, fmt, ap);
	len = start + (size_t)(n < 0 ? 0 : n);
	if (len > sizeof(line) - 5) {
		len = sizeof(line) - 5;
		memcpy(line + len, "...", 3);
		len += 3;
	}
	for (size_t i = start; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	if (!put_line(line, len)) {
		atomic_fetch_add(&sink.dropped, 1);
	} else if ((dropped = atomic_exchange(&sink.dropped, 0)) > 0) {
		start = (size_t)format_prefix(line, sizeof(line), LEVEL_WARN);
		n = snprintf(line + start, sizeof(line) - start, "log lost lines=%u\n", dropped);
		if (!put_line(line, start + (size_t)n))
			atomic_fetch_add(&sink.dropped, dropped);
	}
	errno = saved_errno;
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!log_debugging())
		return;
	va_start(ap, fmt);
	emit(LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LEVEL_WARN, fmt, ap);
	va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LEVEL_ERROR, fmt, ap);
	va_end(ap);
	exit(1);
}

const char *
log_quote(const char *s, size_t len)
{
	static _Thread_local char buffers[4][QUOTE_MAX + sizeof("...")];
	static _Thread_local unsigned turn;
	char *out = buffers[turn++ % 4];
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';

		if (at + (plain ? 1 : 4) > QUOTE_MAX) {
			memcpy(out + at, "...", 3);
			at += 3;
			break;
		}
		if (plain)
			out[at++] = (char)c;
		else
			at += (size_t)snprintf(out + at, 5, "\\x%02x", c);
	}
	out[at] = '\0';
	return out;
}

/* A bucket's level counts 1/60000 of a message, so that a millisecond refills a whole number. */
#define MESSAGE_COST 60000u

struct log_bucket {
	uint64_t level;
	uint64_t last_ms;
	unsigned suppressed;
};

struct log_limit {
	unsigned per_minute;
	unsigned n_slots;
	struct log_bucket slots[];
};

struct log_limit *
log_limit_new(unsigned per_minute, unsigned slots)
{
	struct log_limit *l;

	if (slots == 0)
		slots = 1;
	l = calloc(1, sizeof(*l) + slots * sizeof(l->slots[0]));
	if (l == NULL)
		return NULL;
	l->per_minute = per_minute;
	l->n_slots = slots;
	for (unsigned i = 0; i < slots; i++)
		l->slots[i].level = (uint64_t)per_minute * MESSAGE_COST;
	return l;
}

void
log_limit_free(struct log_limit *l)
{
	free(l);
}

bool
log_limit_ok(struct log_limit *l, uint32_t key, uint64_t now_ms, unsigned *suppressed)
{
	uint32_t hash = key * 2654435761u;
	struct log_bucket *b = &l->slots[((uint64_t)hash * l->n_slots) >> 32];
	uint64_t full = (uint64_t)l->per_minute * MESSAGE_COST;
	uint64_t elapsed_ms = now_ms > b->last_ms ? now_ms - b->last_ms : 0;

	if (elapsed_ms >= MESSAGE_COST)
		b->level = full;
	else
		b->level += elapsed_ms * l->per_minute;
	if (b->level > full)
		b->level = full;
	b->last_ms += elapsed_ms;
	if (b->level < MESSAGE_COST) {
		b->suppressed++;
		return false;
	}
	b->level -= MESSAGE_COST;
	if (suppressed != NULL)
		*suppressed = b->suppressed;
	b->suppressed = 0;
	return true;
}
