/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The log. A line is built on the stack and leaves in one write(), so threads need no lock. Nothing
 * here opens a file (the time is UTC by our own arithmetic: the C library's conversions read the
 * zone file) and nothing waits for long: a sink that stays full costs lines, which are counted and
 * reported once it moves again.
 *
 * Where it goes: a descriptor that was named; else stderr, as long as somebody may read it. If
 * that is systemd's journal, lines go to the journal's own socket with their parts as fields; if it
 * is closed or /dev/null, to the journal, or to syslog.
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/log_fields.h"

#define LINE_MAX_BYTES    2048
#define FULL_SINK_WAIT_MS 20
#define ENTRY_MAX_BYTES   (3 * LINE_MAX_BYTES)
#define FACILITY          (3 << 3) /* syslog's "daemon" */
#ifndef LOG_JOURNAL_SOCKET
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"
#define LOG_SYSLOG_SOCKET  "/dev/log"
#endif
#define QUOTE_MAX 96

enum level {
	LEVEL_ERROR = 3, /* the numbers are syslog's, as the journal's prefix wants them */
	LEVEL_WARN = 4,
	LEVEL_INFO = 6,
	LEVEL_DEBUG = 7,
};

enum way {
	WAY_STREAM,  /* lines with a time */
	WAY_PREFIX,  /* lines for a journal that reads the stream: "<6>..." */
	WAY_JOURNAL, /* datagrams of fields */
	WAY_SYSLOG,  /* datagrams of a line */
};

static struct {
	char name[64];
	int fd;
	enum way way;
	int socket; /* of the last two ways; fd stays what to fall back upon */
	bool spare; /* fd is a stream that a journal reads */
	atomic_bool debug;
	atomic_uint dropped;
} sink = {.fd = STDERR_FILENO, .socket = -1};

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

/* Nobody reads it: it is closed, or /dev/null. */
static bool
is_nowhere(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return errno == EBADF;
	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* A datagram socket that is connected there, or -1. */
static int
open_socket(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void
choose_way(void)
{
	sink.spare = is_journal(sink.fd);
	sink.way = sink.spare ? WAY_PREFIX : WAY_STREAM;
	if (sink.fd != STDERR_FILENO || (!sink.spare && !is_nowhere(sink.fd)))
		return;
	sink.socket = open_socket(LOG_JOURNAL_SOCKET);
	if (sink.socket >= 0) {
		sink.way = WAY_JOURNAL;
	} else if (!sink.spare) {
		sink.socket = open_socket(LOG_SYSLOG_SOCKET);
		sink.way = sink.socket >= 0 ? WAY_SYSLOG : WAY_STREAM;
	}
}

void
log_init(const char *name, int fd, bool debug)
{
	if (sink.socket >= 0)
		close(sink.socket);
	sink.socket = -1;
	snprintf(sink.name, sizeof(sink.name), "%s", name);
	sink.fd = fd < 0 ? STDERR_FILENO : fd;
	choose_way();
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

	if (sink.way != WAY_STREAM)
		return snprintf(
		    line, size, "<%d>%s %s: ", (int)level, sink.name, level_word(level));
	clock_gettime(CLOCK_REALTIME, &now);
	civil_date(now.tv_sec / 86400, &year, &month, &day);
	second = (int)(now.tv_sec % 86400);
	return snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s: ", year, month, day,
	    second / 3600, second / 60 % 60, second % 60, (int)(now.tv_nsec / 1000000), sink.name,
	    level_word(level));
}

/* Whether it will take something; after one short wait lines are dropped. */
static bool
is_ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	bool stuck = atomic_load(&sink.dropped) > 0;

	return poll(&p, 1, stuck ? 0 : FULL_SINK_WAIT_MS) != 0;
}

/* A pipe or socket whose reader sleeps must not stop us. */
static bool
put_line(const char *line, size_t len)
{
	if (!is_ready(sink.fd))
		return false;
	return write(sink.fd, line, len) >= 0 || errno != EAGAIN;
}

/* ---- datagrams ---- */

struct entry {
	char bytes[ENTRY_MAX_BYTES];
	size_t len;
};

/* KEY=value and a newline; one that does not fit is left out. The value has no control character.
 */
static void
add_field(struct entry *e, const char *key, const char *value, size_t len)
{
	size_t need = strlen(key) + len + 2;

	if (e->len + need > sizeof(e->bytes))
		return;
	e->len += (size_t)snprintf(e->bytes + e->len, sizeof(e->bytes) - e->len, "%s=", key);
	memcpy(e->bytes + e->len, value, len);
	e->len += len;
	e->bytes[e->len++] = '\n';
}

/* "pptpd[gw1]": the program and its node. */
static void
add_name(struct entry *e)
{
	size_t program = strcspn(sink.name, "["), node;

	add_field(e, "SYSLOG_IDENTIFIER", sink.name, program);
	if (sink.name[program] != '[')
		return;
	node = strcspn(sink.name + program + 1, "]");
	add_field(e, "PPTP_HA_NODE", sink.name + program + 1, node);
}

static void
build_entry(struct entry *e, enum level level, const char *text)
{
	const char digit = (char)('0' + (int)level), *rest;
	struct log_pair pair;
	size_t head = log_event(text, &rest);
	char key[sizeof("PPTP_HA_") + LOG_KEY_MAX];

	e->len = 0;
	add_field(e, "MESSAGE", text, strlen(text));
	add_field(e, "PRIORITY", &digit, 1);
	add_name(e);
	add_field(e, "PPTP_HA_EVENT", text, head);
	while (log_next_pair(&rest, &pair)) {
		snprintf(key, sizeof(key), "PPTP_HA_%s", pair.key);
		for (char *c = key; *c; c++)
			if (*c >= 'a' && *c <= 'z')
				*c = (char)(*c - 'a' + 'A');
		add_field(e, key, pair.value, pair.value_len);
	}
}

static void
build_syslog(struct entry *e, enum level level, const char *text)
{
	size_t program = strcspn(sink.name, "[");
	int n = snprintf(e->bytes, sizeof(e->bytes), "<%d>%.*s[%d]: %s%s%s: %s",
	    FACILITY | (int)level, (int)program, sink.name, (int)getpid(), sink.name + program,
	    sink.name[program] ? " " : "", level_word(level), text);

	e->len = n < 0 ? 0 : (size_t)n < sizeof(e->bytes) ? (size_t)n : sizeof(e->bytes) - 1;
}

/* false: it did not get out, and nobody else may take it. */
static bool
put_entry(enum level level, const char *text, const char *line, size_t len)
{
	struct entry e;

	if (sink.way == WAY_JOURNAL)
		build_entry(&e, level, text);
	else
		build_syslog(&e, level, text);
	if (!is_ready(sink.socket))
		return false;
	if (send(sink.socket, e.bytes, e.len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	if (errno == EAGAIN)
		return false;
	return sink.spare ? put_line(line, len) : true; /* its reader is gone: not a full sink */
}

/* A line of that length with its newline; its text begins at start. */
static bool
put(enum level level, const char *line, size_t start, size_t len)
{
	char text[LINE_MAX_BYTES];

	if (sink.way != WAY_JOURNAL && sink.way != WAY_SYSLOG)
		return put_line(line, len);
	snprintf(text, sizeof(text), "%.*s", (int)(len - 1 - start), line + start);
	return put_entry(level, text, line, len);
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
	if (!put(level, line, start, len)) {
		atomic_fetch_add(&sink.dropped, 1);
	} else if ((dropped = atomic_exchange(&sink.dropped, 0)) > 0) {
		start = (size_t)format_prefix(line, sizeof(line), LEVEL_WARN);
		n = snprintf(line + start, sizeof(line) - start, "log lost lines=%u\n", dropped);
		if (!put(LEVEL_WARN, line, start, start + (size_t)n))
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
