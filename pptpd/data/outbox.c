/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * GRE packets on their way out, one outbox a worker: payloads are built in place, headers go right
 * in front of them, sendmmsg() takes them all. No failure to send is fatal: each lost packet is
 * counted with its session. Whoever frees a session flushes first, since slots point to its tally.
 *
 * Freezing: the worker says that it is sending before it looks at `frozen`, the main thread sets
 * `frozen` before it looks at `sending`; so one of them sees the other.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pptpd/data/internal.h"

#define WAIT_MS   1
#define WAITS_MAX 2 /* a flush */

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct outbox_wire {
	struct mmsghdr messages[DP_BATCH];
	struct iovec vectors[DP_BATCH];
	struct sockaddr_in to[DP_BATCH];
	union control control[DP_BATCH];
};

int
outbox_init(struct outbox *o, int fd, uint32_t bind_ip)
{
	o->fd = fd;
	o->bind_ip = bind_ip;
	o->n = 0;
	o->slots = calloc(DP_BATCH, sizeof(*o->slots));
	o->wire = calloc(1, sizeof(*o->wire));
	if (o->slots == NULL || o->wire == NULL) {
		outbox_fini(o);
		errno = ENOMEM;
		return -1;
	}
	for (unsigned i = 0; i < DP_BATCH; i++) {
		struct msghdr *m = &o->wire->messages[i].msg_hdr;

		m->msg_name = &o->wire->to[i];
		m->msg_namelen = sizeof(o->wire->to[i]);
		m->msg_iov = &o->wire->vectors[i];
		m->msg_iovlen = 1;
		o->wire->to[i].sin_family = AF_INET;
	}
	return 0;
}

void
outbox_fini(struct outbox *o)
{
	free(o->slots);
	free(o->wire);
	o->slots = NULL;
	o->wire = NULL;
}

uint8_t *
outbox_payload(struct outbox *o)
{
	if (o->n == DP_BATCH)
		outbox_flush(o);
	return o->slots[o->n].payload;
}

/* The socket is bound to no address: each packet names its source. */
static void
set_source(struct msghdr *m, union control *c, uint32_t ip)
{
	struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(ip)};
	struct cmsghdr *head;

	m->msg_control = c->bytes;
	m->msg_controllen = sizeof(c->bytes);
	head = CMSG_FIRSTHDR(m);
	head->cmsg_level = IPPROTO_IP;
	head->cmsg_type = IP_PKTINFO;
	head->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(head), &info, sizeof(info));
}

void
outbox_add(
    struct outbox *o, const struct dp_session *s, const struct gre_header *h, struct tally *t)
{
	struct outbox_slot *slot = &o->slots[o->n];
	size_t header_len = 8 + (h->has_seq ? 4u : 0) + (h->has_ack ? 4u : 0);
	struct wr w = wr_init(slot->header + sizeof(slot->header) - header_len, header_len);

	gre_encode(&w, h);
	o->wire->vectors[o->n] =
	    (struct iovec){.iov_base = w.start, .iov_len = header_len + h->length};
	o->wire->to[o->n].sin_addr.s_addr = htonl(s->peer_ip);
	if (o->bind_ip == 0)
		set_source(&o->wire->messages[o->n].msg_hdr, &o->wire->control[o->n], s->local_ip);
	o->tally[o->n] = t;
	o->n++;
}

static enum dp_drop
drop_of(int error)
{
	switch (error) {
	case EPERM:
		return DP_DROP_SEND_EPERM;
	case ENOBUFS:
	case EAGAIN:
		return DP_DROP_SEND_ENOBUFS;
	default:
		return DP_DROP_SEND_OTHER;
	}
}

/* Waits a little for room in the socket's buffer; a worker must not hang on it. */
static bool
wait_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, WAIT_MS) > 0 && (p.revents & POLLOUT) != 0;
}

/* Sends from `sent` on as far as it goes; returns how many are settled then. */
static unsigned
send_some(struct outbox *o, unsigned sent, unsigned *waits)
{
	int n = sendmmsg(o->fd, o->wire->messages + sent, o->n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		return sent + (unsigned)n;
	if (n < 0 && errno == EINTR)
		return sent;
	if (n < 0 && errno == EAGAIN && *waits < WAITS_MAX) {
		*waits += wait_writable(o->fd) ? 1 : WAITS_MAX;
		return sent;
	}
	/* The error is that of the first packet not sent. */
	tally_drop(o->tally[sent], drop_of(errno));
	return sent + 1;
}

void
outbox_flush(struct outbox *o)
{
	unsigned sent = 0, waits = 0;

	if (o->n == 0)
		return;
	atomic_store_explicit(&o->sending, true, memory_order_seq_cst);
	while (sent < o->n && !atomic_load_explicit(&o->frozen, memory_order_seq_cst))
		sent = send_some(o, sent, &waits);
	atomic_store_explicit(&o->sending, false, memory_order_release);
	while (sent < o->n)
		tally_drop(o->tally[sent++], DP_DROP_FROZEN);
	o->n = 0;
}

void
outbox_freeze(struct outbox *o, bool frozen)
{
	atomic_store_explicit(&o->frozen, frozen, memory_order_seq_cst);
	/* It looks again after each call into the kernel, and waits for 2 ms at most. */
	while (frozen && atomic_load_explicit(&o->sending, memory_order_seq_cst))
		sched_yield();
}
