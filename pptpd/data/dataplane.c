/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The main thread's side of the data plane. It makes and frees sessions and tells the workers what
 * to do with the halves. An order that must not be lost is a bit in the half's struct late plus the
 * values that it needs in the cold part: the order is built when there is room in the ring, so a
 * full ring costs no memory, and a later value simply replaces one that is still waiting.
 *
 * Invariants: orders of one half enter the ring in the order of enum order_kind, and halves enter
 * it in the order in which they became late. A session is freed when both halves' release notes are
 * read.
 */
#include "pptpd/data/dataplane.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "pptpd/data/internal.h"

#define LATE_RETRY_MS 1
#define NOTES_A_TURN  256

/* Orders */

static struct order *
reserve_order(
    struct worker *w, struct dp_session *s, enum half half, enum order_kind kind, size_t len)
{
	struct order *o = ring_reserve(&w->orders, sizeof(*o) + len);

	if (o != NULL)
		*o = (struct order){.kind = (uint8_t)kind, .half = (uint8_t)half, .session = s};
	return o;
}

/* One order from the cold part into the ring. False: no room. */
static bool
put_order(struct worker *w, struct dp_session *s, enum half half, enum order_kind kind)
{
	struct order *o = reserve_order(w, s, half, kind, 0);

	if (o == NULL)
		return false;
	if (kind == ORDER_KEYS) {
		o->up = !s->disarm;
		memcpy(o->key, s->key[half], sizeof(o->key));
		explicit_bzero(s->key[half], sizeof(s->key[half]));
	} else if (kind == ORDER_LINK) {
		o->up = s->up;
		o->source = s->source;
		o->link = s->link;
	} else if (kind == ORDER_GATE || kind == ORDER_REGATE) {
		o->gate = kind == ORDER_GATE ? s->gate.gate : s->regate.gate;
		o->low_water = kind == ORDER_GATE ? s->gate.low_water : s->regate.low_water;
	} else if (kind == ORDER_EXPORT) {
		o->ahead = s->export_ahead;
		o->low_water = s->export_low;
		o->up = half == HALF_TX && s->skip;
		o->seq = s->skip_seq;
		o->index = s->skip_index;
		s->skip &= half != HALF_TX;
		o->round = s->report.asked;
	}
	ring_commit(&w->orders);
	return true;
}

/* All that waits for one half. False: no room for the rest of it. */
static bool
put_orders(struct worker *w, struct late *late)
{
	for (unsigned kind = 0; late->orders != 0; kind++) {
		if ((late->orders & 1u << kind) == 0)
			continue;
		if (!put_order(w, late->session, late->half, (enum order_kind)kind))
			return false;
		late->orders &= (uint8_t) ~(1u << kind);
	}
	return true;
}

static void
kick(struct worker *w)
{
	if (!w->dp->batch)
		ring_kick(&w->orders);
}

/* Everything of the halves. False: no room for the rest of it. */
static bool
put_late(struct worker *w)
{
	struct late *late;

	while ((late = w->late_head) != NULL) {
		if (!put_orders(w, late))
			return false;
		w->late_head = late->next;
		if (w->late_head == NULL)
			w->late_tail = &w->late_head;
		late->queued = false;
	}
	return true;
}

void
dp_put_orders(struct worker *w)
{
	bool all = relay_put_order(w) && put_late(w) && doze_put_order(w) && relay_put_parcels(w);

	kick(w);
	if (!all)
		timer_set(&w->late_timer, LATE_RETRY_MS);
}

static void
late_cb(void *arg)
{
	dp_put_orders(arg);
}

static void
give_order(struct dataplane *dp, struct dp_session *s, enum half half, enum order_kind kind)
{
	struct worker *w = &dp->workers[s->worker[half]];
	struct late *late = &s->late[half];

	late->orders |= (uint8_t)(1u << kind);
	if (!late->queued) {
		late->queued = true;
		late->next = NULL;
		*w->late_tail = late;
		w->late_tail = &late->next;
	}
	dp_put_orders(w);
}

static void
give_both(struct dataplane *dp, struct dp_session *s, enum order_kind kind)
{
	give_order(dp, s, HALF_RX, kind);
	give_order(dp, s, HALF_TX, kind);
}

/* Notes */

static void
free_session(struct dp_session *s)
{
	gre_rx_fini(&s->rx.gre);
	mppe_fini(&s->rx.mppe);
	mppe_fini(&s->tx.mppe);
	mppe_fini(&s->rx.far);
	hold_fini(&s->tx.hold, NULL);
	hold_fini(&s->rx.parked, NULL);
	explicit_bzero(s->key, sizeof(s->key));
	explicit_bzero(&s->report, sizeof(s->report));
	free(s);
}

static void
released(struct dataplane *dp, struct dp_session *s, enum half half)
{
	void *owner = s->owner;

	s->released[half] = true;
	if (!s->released[HALF_RX] || !s->released[HALF_TX])
		return;
	if (!s->apart)
		counters_add(&dp->ended, s);
	dp->by_call[s->call_id] = NULL;
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		dp->sessions = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	dp->ops.on_detached(dp->arg, owner); /* which may still read its counters */
	free_session(s);
}

/* One half's part of an export; the newest of each counts. */
static void
exported(struct dataplane *dp, struct dp_session *s, struct note *n)
{
	struct report *r = &s->report;
	struct dp_state part;
	uint32_t complete;

	memcpy(&part, n->payload, sizeof(part));
	explicit_bzero(n->payload, sizeof(part));
	if (n->half == HALF_RX) {
		r->state.rx_seq = part.rx_seq;
		r->state.rx_any = part.rx_any;
		r->state.rx = part.rx;
		r->state.rx_packets = part.rx_packets;
		r->state.rx_octets = part.rx_octets;
	} else {
		part.rx_seq = r->state.rx_seq;
		part.rx_any = r->state.rx_any;
		part.rx = r->state.rx;
		part.rx_packets = r->state.rx_packets;
		part.rx_octets = r->state.rx_octets;
		r->state = part;
	}
	explicit_bzero(&part, sizeof(part));
	r->done[n->half] = n->round;
	complete = r->done[HALF_RX];
	if ((int32_t)(r->done[HALF_TX] - complete) < 0)
		complete = r->done[HALF_TX];
	if (s->detaching || complete == r->told)
		return;
	r->told = complete;
	dp->ops.on_exported(dp->arg, s->owner, &r->state);
	if (r->done[HALF_RX] == r->asked && r->done[HALF_TX] == r->asked)
		explicit_bzero(&r->state, sizeof(r->state));
}

static void
low(struct dataplane *dp, struct dp_session *s, const struct note *n)
{
	struct note_low low;

	memcpy(&low, n->payload, sizeof(low));
	if (!s->detaching)
		dp->ops.on_low(dp->arg, s->owner, low.next_seq, low.next_index);
}

static void
frame(struct dataplane *dp, struct dp_session *s, const struct note *n)
{
	atomic_fetch_add_explicit(&s->notes_read, 1, memory_order_relaxed);
	if (s->detaching)
		return;
	if (n->kind == NOTE_FRAME)
		dp->ops.on_frame(dp->arg, s->owner, n->protocol, n->payload, n->len);
	else
		dp->ops.on_unknown(
		    dp->arg, s->owner, n->protocol, n->payload, n->len, n->was_encrypted);
}

static void
take_note(struct worker *w, struct note *n)
{
	struct dataplane *dp = w->dp;

	switch ((enum note_kind)n->kind) {
	case NOTE_FRAME:
	case NOTE_UNKNOWN:
		frame(dp, n->session, n);
		break;
	case NOTE_RELAY_GRE:
		dp->ops.on_relay(dp->arg, DP_RELAY_GRE, n->payload, n->len);
		break;
	case NOTE_RELAY_IP:
		dp->ops.on_relay(dp->arg, DP_RELAY_IP, n->payload, n->len);
		break;
	case NOTE_RELAY_END:
		relay_ended(w, n->round);
		break;
	case NOTE_LOW:
		low(dp, n->session, n);
		break;
	case NOTE_EXPORTED:
		exported(dp, n->session, n);
		break;
	case NOTE_RELEASED:
		released(dp, n->session, (enum half)n->half);
		break;
	}
}

static void
notes_cb(int events, void *arg)
{
	struct worker *w = arg;
	struct note *n;
	size_t len;

	ring_clear(&w->notes);
	for (unsigned i = 0; i < NOTES_A_TURN; i++) {
		n = ring_peek(&w->notes, &len);
		if (n == NULL)
			return;
		take_note(w, n);
		ring_pop(&w->notes);
	}
	ring_rewake(&w->notes);
}

/* Sessions */

struct dp_session *
dp_attach(struct dataplane *dp, const struct dp_session_config *c)
{
	unsigned worker = c->call_id % dp->config.workers;
	struct dp_session *s;

	if (dp->by_call[c->call_id] != NULL) {
		errno = EEXIST;
		return NULL;
	}
	s = aligned_alloc(alignof(struct dp_session), sizeof(*s));
	if (s == NULL)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->call_id = c->call_id;
	s->peer_call_id = s->tx.gre.peer_call_id = c->peer_call_id;
	s->tx.gate = keygate_free(KEYS_ALL);
	s->peer_ip = c->peer_ip;
	s->local_ip = c->local_ip;
	s->owner = c->owner;
	s->id = c->id;
	s->apart = c->apart;
	s->worker[HALF_RX] = s->worker[HALF_TX] = worker;
	for (unsigned half = 0; half < HALVES; half++)
		s->late[half] = (struct late){.session = s, .half = (enum half)half};
	gre_rx_init(&s->rx.gre, dp->config.reorder_window, dp->config.reorder_timeout_us);
	s->rx.gap.owner = s->rx.ack.owner = s->tx.held.owner = s->tx.step.owner = s;
	s->rx.park.owner = s;
	s->rx.unsent = (struct unsent){.session = s, .half = HALF_RX};
	s->tx.unsent = (struct unsent){.session = s, .half = HALF_TX};
	if (c->state != NULL) {
		rx_import(s, c->state, c->exact);
		send_import(s, c->state, c->fill_from);
		s->tx.follows &= !c->exact;
	}
	s->next = dp->sessions;
	if (s->next != NULL)
		s->next->prev = s;
	dp->sessions = dp->by_call[s->call_id] = s;
	give_order(dp, s, HALF_RX, ORDER_ATTACH);
	return s;
}

/* seq: NULL = the next number. */
static int
order_frame(struct dataplane *dp, struct dp_session *s, const uint32_t *seq, uint16_t protocol,
    const uint8_t *payload, size_t len)
{
	struct worker *w = &dp->workers[s->worker[HALF_TX]];
	struct order *o = NULL;

	if (len > DP_FRAME_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	/* Behind a late order it would overtake. */
	if (!s->late[HALF_TX].queued && !s->detaching)
		o = reserve_order(w, s, HALF_TX, ORDER_FRAME, len);
	if (o == NULL) {
		errno = ENOBUFS;
		return -1;
	}
	o->protocol = protocol;
	o->len = (uint16_t)len;
	o->seek = seq != NULL;
	o->seq = seq != NULL ? *seq : 0;
	if (len > 0)
		memcpy(o->payload, payload, len);
	ring_commit(&w->orders);
	kick(w);
	return 0;
}

int
dp_send_frame(struct dataplane *dp, struct dp_session *s, uint16_t protocol, const uint8_t *payload,
    size_t len)
{
	return order_frame(dp, s, NULL, protocol, payload, len);
}

int
dp_send_frame_at(struct dataplane *dp, struct dp_session *s, uint32_t seq, uint16_t protocol,
    const uint8_t *payload, size_t len)
{
	return order_frame(dp, s, &seq, protocol, payload, len);
}

void
dp_disarm(struct dataplane *dp, struct dp_session *s)
{
	if (s->detaching)
		return;
	explicit_bzero(s->key, sizeof(s->key));
	s->disarm = true;
	s->skip = false;
	give_both(dp, s, ORDER_KEYS);
}

void
dp_set_keys(struct dataplane *dp, struct dp_session *s, const uint8_t send_key[static 16],
    const uint8_t recv_key[static 16])
{
	if (s->detaching)
		return;
	s->disarm = s->skip = false;
	memcpy(s->key[HALF_TX], send_key, 16);
	memcpy(s->key[HALF_RX], recv_key, 16);
	give_both(dp, s, ORDER_KEYS);
}

/* Points the TUN's queue choice at the session's worker, or takes the entry out (ip 0). */
static void
steer(struct dataplane *dp, struct dp_session *s, uint32_t ip)
{
	int map_fd = dp->config.steer_map_fd;

	if (map_fd < 0 || ip == s->steered)
		return;
	if (s->steered != 0 && steer_clear(map_fd, s->steered, 32) < 0 && errno != ENOENT)
		log_warn(
		    "cannot clear steering ip=%s error=%s", conf_ipv4(s->steered), strerror(errno));
	relay_steer(dp, s, ip);
	if (ip != 0 && steer_set(map_fd, ip, 32, s->worker[HALF_TX]) < 0)
		log_warn("cannot steer ip=%s error=%s", conf_ipv4(ip), strerror(errno));
}

void
dp_up(struct dataplane *dp, struct dp_session *s, const struct dp_up *up)
{
	if (s->detaching)
		return;
	s->up = true;
	s->link = *up;
	s->source = up->peer_ip;
	steer(dp, s, up->peer_ip); /* before the first packet that could be answered */
	give_both(dp, s, ORDER_LINK);
}

void
dp_down(struct dataplane *dp, struct dp_session *s)
{
	if (s->detaching)
		return;
	s->up = false;
	s->source = 0;
	steer(dp, s, 0);
	give_both(dp, s, ORDER_LINK);
}

void
dp_set_gate(struct dataplane *dp, struct dp_session *s, const struct keygate *g, uint32_t low_water)
{
	bool behind_export = (s->late[HALF_TX].orders & 1u << ORDER_EXPORT) != 0;

	if (s->detaching)
		return;
	*(behind_export ? &s->regate : &s->gate) =
	    (struct limit){.gate = *g, .low_water = low_water};
	give_order(dp, s, HALF_TX, behind_export ? ORDER_REGATE : ORDER_GATE);
}

void
dp_export(struct dataplane *dp, struct dp_session *s, uint32_t ahead, uint32_t low_water)
{
	struct late *late = &s->late[HALF_TX];

	if (s->detaching)
		return;
	if ((late->orders & 1u << ORDER_REGATE) != 0) {
		/* One export is left of two, and this gate is before it. */
		s->gate = s->regate;
		late->orders &= (uint8_t) ~(1u << ORDER_REGATE);
		late->orders |= 1u << ORDER_GATE;
	}
	s->export_ahead = ahead;
	s->export_low = low_water;
	s->report.asked++;
	give_both(dp, s, ORDER_EXPORT);
}

void
dp_skip(struct dataplane *dp, struct dp_session *s, uint32_t seq, uint64_t index)
{
	(void)dp;
	s->skip = true;
	s->skip_seq = seq;
	s->skip_index = index;
}

void
dp_freeze(struct dataplane *dp, bool frozen)
{
	for (unsigned i = 0; i < dp->config.workers; i++)
		outbox_freeze(&dp->workers[i].outbox, frozen);
}

void
dp_batch(struct dataplane *dp, bool on)
{
	dp->batch = on;
	for (unsigned i = 0; !on && i < dp->config.workers; i++)
		ring_kick(&dp->workers[i].orders);
}

void
dp_detach(struct dataplane *dp, struct dp_session *s)
{
	if (s->detaching)
		return;
	s->detaching = true;
	steer(dp, s, 0);
	give_both(dp, s, ORDER_DETACH);
}

/* Start and end */

static int
start_threads(struct dataplane *dp)
{
	/* A worker's own fall is its own: the handler notes which one it was (pptpd/priv/crumb.h).
	 */
	static const int deadly[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
	sigset_t all, old;
	int error = 0;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		sigdelset(&all, deadly[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (error == 0 && dp->started < dp->config.workers) {
		error = pthread_create(
		    &dp->threads[dp->started], NULL, worker_run, &dp->workers[dp->started]);
		dp->started += error == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = error;
	return error == 0 ? 0 : -1;
}

static int
init_worker(struct dataplane *dp, struct worker *w, unsigned index)
{
	w->dp = dp;
	timer_init(&w->late_timer, dp->loop, late_cb, w);
	if (worker_init(w, &dp->config, index) < 0)
		return -1;
	if (io_init(&w->notes_io, dp->loop, w->notes.event_fd, notes_cb, w) < 0)
		return -1;
	io_want(&w->notes_io, IO_READ);
	return 0;
}

/* Everything but the descriptors of the configuration. */
static void
undo(struct dataplane *dp)
{
	for (unsigned i = 0; i < dp->started; i++) {
		atomic_store_explicit(&dp->workers[i].stop, true, memory_order_release);
		ring_rewake(&dp->workers[i].orders);
	}
	for (unsigned i = 0; i < dp->started; i++)
		pthread_join(dp->threads[i], NULL);
	for (unsigned i = 0; dp->workers != NULL && i < dp->config.workers; i++) {
		timer_cancel(&dp->workers[i].late_timer);
		relay_fini(&dp->workers[i]);
		io_fini(&dp->workers[i].notes_io);
		worker_fini(&dp->workers[i]);
	}
	while (dp->sessions != NULL) {
		struct dp_session *s = dp->sessions;

		dp->sessions = s->next;
		free_session(s);
	}
	free(dp->workers);
	free(dp);
}

struct dataplane *
dp_new(struct loop *l, const struct dp_config *c, const struct dp_ops *ops, void *arg)
{
	struct dataplane *dp;
	int saved;

	if (c->workers < 1 || c->workers > DP_WORKERS_MAX ||
	    (c->workers > 1 && c->steer_map_fd < 0) || c->reorder_window > GRE_RX_WINDOW_MAX) {
		errno = EINVAL;
		return NULL;
	}
	dp = calloc(1, sizeof(*dp));
	if (dp == NULL)
		return NULL;
	dp->loop = l;
	dp->config = *c;
	dp->ops = *ops;
	dp->arg = arg;
	dp->workers = aligned_alloc(alignof(struct worker), c->workers * sizeof(struct worker));
	if (dp->workers == NULL)
		goto out;
	memset(dp->workers, 0, c->workers * sizeof(struct worker));
	for (unsigned i = 0; i < c->workers; i++)
		dp->workers[i].epoll_fd = -1;
	for (unsigned i = 0; i < c->workers; i++)
		if (init_worker(dp, &dp->workers[i], i) < 0)
			goto out;
	if (start_threads(dp) == 0)
		return dp;
out:
	saved = errno;
	undo(dp);
	errno = saved;
	return NULL;
}

void
dp_free(struct dataplane *dp)
{
	struct dp_config c;

	if (dp == NULL)
		return;
	c = dp->config;
	undo(dp);
	for (unsigned i = 0; i < c.workers; i++) {
		close(c.gre_fds[i]);
		close(c.tun_fds[i]);
	}
	if (c.steer_map_fd >= 0)
		close(c.steer_map_fd);
}
