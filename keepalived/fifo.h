/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * keepalived's notify lines, as it writes them to its fifo, one write() each:
 *
 *   INSTANCE "PPTP_HA" MASTER 250
 *
 * The parser is pure. fifo_feed() cuts the bytes of any reads into lines and keeps the rest.
 */
#ifndef KEEPALIVED_FIFO_H
#define KEEPALIVED_FIFO_H

#include <stdbool.h>
#include <stddef.h>

#define FIFO_NAME_MAX 64  /* with its NUL */
#define FIFO_LINE_MAX 256 /* with its newline; keepalived's names are far shorter */

enum fifo_event {
	FIFO_MASTER,
	FIFO_BACKUP,
	FIFO_FAULT,
	FIFO_STOP,            /* keepalived ends */
	FIFO_DELETED,         /* the instance is gone from the configuration */
	FIFO_MASTER_PRIORITY, /* these three change no role */
	FIFO_BACKUP_PRIORITY,
	FIFO_MASTER_RX_LOWER_PRI, /* another master was heard and yields: a split brain heals */
	FIFO_N_EVENTS
};

struct fifo_line {
	bool group; /* of a sync group, not of an instance */
	char name[FIFO_NAME_MAX];
	enum fifo_event event;
	unsigned priority; /* 0..255; always 0 for a group */
};

/*
 * One line without its newline; the name may stand with or without quotes (notify scripts get it
 * without). 0, or -1 with errno EBADMSG, and *out is then untouched.
 */
int fifo_parse(const char *line, size_t len, struct fifo_line *out);

/* "MASTER", ... */
const char *fifo_event_name(enum fifo_event event);

struct fifo_buffer {
	char text[FIFO_LINE_MAX];
	size_t n;
	bool skipping; /* the rest of a line that was too long */
};

/*
 * Calls on_line for each whole line of what was kept and of the len bytes. line is NULL for one
 * that does not parse; text is the line itself, its beginning if it was too long. A zeroed buffer
 * is an empty one.
 */
void fifo_feed(struct fifo_buffer *b, const char *bytes, size_t len,
    void (*on_line)(const struct fifo_line *line, const char *text, size_t text_len, void *arg),
    void *arg);

#endif
