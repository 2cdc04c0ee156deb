/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the monitor and the engine say to each other: one message a SOCK_SEQPACKET packet, written
 * and read with the cursor, descriptors beside it (SCM_RIGHTS). Both sides are the same binary, so
 * there is no version; a packet that does not decode exactly is refused whole.
 */
#ifndef PRIV_PRIV_WIRE_H
#define PRIV_PRIV_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pptpd/priv/priv.h"

#define PRIV_FDS_MAX  253 /* the kernel's limit for one message */
#define PRIV_MSG_MAX  512 /* a connection to be restored with its tail: 308 */
#define PRIV_USER_MAX 255

enum priv_type {
	/* monitor to engine */
	PRIV_START =
	    1, /* control, files, replica, crumbs, [steering map], GRE sockets, TUN queues */
	PRIV_ACCEPTED, /* the connection */
	PRIV_FILES,    /* a memory file */
	PRIV_STOP,
	PRIV_REPLY,
	PRIV_REPLY_FD, /* what the verb made */
	PRIV_PING,
	/* engine to monitor */
	PRIV_LISTEN,
	PRIV_CALL_ADD,
	PRIV_CALL_DEL,
	PRIV_ROUTE_ADD,
	PRIV_ROUTE_DEL,
	PRIV_MARK_CLOSING, /* the connection */
	PRIV_SILENT_CLOSE, /* the connection */
	PRIV_RELOAD,
	PRIV_WTMP,
	PRIV_RESTORE,
	PRIV_PROBE, /* the connection */
	PRIV_SNIFFER,
	PRIV_PONG,
	PRIV_TYPE_END
};
#define PRIV_FIRST_VERB PRIV_LISTEN

struct priv_msg {
	enum priv_type type;
	uint32_t id; /* of a verb and of its answer; 0 = no answer wanted */
	bool on;     /* listen; of a route: serve */
	uint32_t ip;
	uint16_t call_id;
	uint32_t err;
	char user[PRIV_USER_MAX + 1]; /* empty: logout */
	struct tcp_snapshot tcp;
	struct tcp_restore restore;
	struct {
		char node[64];
		bool standby, debug, steering;
		uint8_t workers;
		uint32_t bind_ip;
	} start;
};

const char *priv_type_name(enum priv_type t);
/* Descriptors that a message of this type must bring; START's depend on its content. */
size_t priv_msg_fds(const struct priv_msg *m);
/* Bytes written, or 0 with EINVAL. */
size_t priv_encode(const struct priv_msg *m, uint8_t *buffer, size_t size);
/* 0, or -1 with EBADMSG. Type and id are set whenever they could be read, so that a refusal can be
 * answered. */
int priv_decode(const uint8_t *bytes, size_t len, struct priv_msg *m);

struct priv_packet {
	uint8_t bytes[PRIV_MSG_MAX];
	size_t len;
	int fds[PRIV_FDS_MAX]; /* close-on-exec; the caller's after 1 */
	size_t n_fds;
	bool fds_lost; /* this process had no room for some of them */
};

/* 1 = a packet, 0 = the other side is gone, -1 with errno (EAGAIN; EBADMSG: longer than any
 * message). */
int priv_recv(int fd, struct priv_packet *p);
void priv_packet_close(struct priv_packet *p);
/* 0, or -1 with errno (EAGAIN, EPIPE, ...). Never waits if fd is non-blocking; descriptors stay the
 * caller's. */
int priv_send(int fd, const struct priv_msg *m, const int *fds, size_t n_fds);

/* Messages that found the socket full, in order. At most one descriptor each. */
struct priv_out {
	struct priv_out *next;
	struct priv_msg msg;
	int fd; /* -1 = none */
	bool own;
};
struct priv_queue {
	struct priv_out *first, **last;
	int sock;
};

void priv_queue_init(struct priv_queue *q, int sock);
void priv_queue_fini(struct priv_queue *q);
bool priv_queue_empty(const struct priv_queue *q);
/*
 * Sends, or queues if the socket is full. own: fd is closed once sent, or on failure. 0, or -1 with
 * errno (the message is lost).
 */
int priv_queue_send(struct priv_queue *q, const struct priv_msg *m, int fd, bool own);
/* Sends what it can; what fails for another reason than a full socket is dropped. True = nothing
 * left. */
bool priv_queue_flush(struct priv_queue *q);

/* Names and texts as a memory file, and back: the reader wipes and closes it. Both -1 with errno.
 */
int priv_files_pack(const struct priv_files *f);
int priv_files_unpack(int fd, struct priv_files *f);

#endif
