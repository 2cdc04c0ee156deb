/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The stream and its HELLO. What comes from the other side is checked here for
 * length, order and epoch before a role's half sees it; whatever is wrong ends the stream with one
 * line, and never more than that. Roles are fixed for the life of a stream.
 */
#include "pptpd/engine/replica.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/engine/replica_internal.h"

const char *
replica_state_name(enum replica_state s)
{
	static const char *const names[] = {
	    [REPLICA_STANDBY] = "standby",
	    [REPLICA_ALONE] = "alone",
	    [REPLICA_SYNCING] = "syncing",
	    [REPLICA_IN_SYNC] = "in-sync",
	    [REPLICA_CUT] = "cut",
	    [REPLICA_SOLO] = "solo",
	    [REPLICA_SILENT] = "silent",
	};

	return names[s];
}

/* ---- life ---- */

static void
turn_cb(void *arg)
{
	struct replica *r = arg;

	if (r->active)
		replica_active_turn(r);
	else
		replica_standby_turn(r);
}

static void
slice_cb(void *arg)
{
	replica_active_slice(arg);
}

static void
pace_cb(void *arg)
{
	replica_soon(arg);
}

static void beat_cb(void *arg);

struct replica *
replica_new(
    struct loop *l, const struct replica_config *c, const struct replica_ops *ops, void *arg)
{
	struct replica *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->loop = l;
	r->config = *c;
	r->ops = *ops;
	r->arg = arg;
	TAILQ_INIT(&r->sessions);
	TAILQ_INIT(&r->exports);
	TAILQ_INIT(&r->asks);
	TAILQ_INIT(&r->asked);
	TAILQ_INIT(&r->lows);
	TAILQ_INIT(&r->without);
	TAILQ_INIT(&r->conns);
	TAILQ_INIT(&r->dirty);
	TAILQ_INIT(&r->wait);
	timer_init(&r->turn, l, turn_cb, r);
	timer_init(&r->slice, l, slice_cb, r);
	timer_init(&r->beat, l, beat_cb, r);
	timer_init(&r->decide, l, replica_handover_decide_cb, r);
	timer_init(&r->pace, l, pace_cb, r);
	r->cut = r->next_cut = (uint64_t)c->boot_id << CUT_BITS;
	r->in = malloc(IN_SIZE);
	r->out = malloc(OUT_SIZE);
	r->limit = log_limit_new(12, 1);
	r->mirror = mirror_new(&ops->mirror, arg);
	if (r->in == NULL || r->out == NULL || r->limit == NULL || r->mirror == NULL) {
		replica_free(r);
		errno = ENOMEM;
		return NULL;
	}
	return r;
}

void
replica_free(struct replica *r)
{
	if (r == NULL)
		return;
	r->open = r->met = false;
	replica_active_forget(r);
	replica_handover_forget(r);
	replica_report_forget(r);
	replica_report_settled(r);
	timer_cancel(&r->beat);
	mirror_free(r->mirror);
	log_limit_free(r->limit);
	if (r->in != NULL)
		explicit_bzero(r->in, IN_SIZE);
	if (r->out != NULL)
		explicit_bzero(r->out, OUT_SIZE);
	free(r->in);
	free(r->out);
	free(r);
}

void
replica_changed_state(struct replica *r, enum replica_state s)
{
	r->state = s;
	if (r->ops.changed != NULL)
		r->ops.changed(r->arg);
}

void
replica_soon(struct replica *r)
{
	if (!timer_pending(&r->turn))
		timer_set(&r->turn, 0);
}

/* ---- saying ---- */

struct wr
replica_say(struct replica *r, enum replica_type type)
{
	bool unknown =
	    type >= REPLICA_TYPE_V2 && (!r->met || r->version < REPLICA_VERSION_HANDOVER);
	struct wr w = wr_init(r->out, unknown ? 0 : OUT_SIZE);
	struct lag *lag;

	if (unknown) {
		wr_u8(&w, 0); /* no room: a bad writer */
		return w;
	}
	replica_frame_begin(&w, type, r->epoch, ++r->sent);
	if (r->active && type != REPLICA_HELLO && type != REPLICA_BEAT && r->n_lags < LAGS) {
		lag = &r->lags[(r->lag_at + r->n_lags++) % LAGS];
		*lag = (struct lag){.sequence = r->sent, .ms = loop_now_ms(r->loop)};
		if (r->n_lags == 1)
			r->progress_ms = lag->ms;
	}
	return w;
}

void
replica_send(struct replica *r, struct wr *w)
{
	replica_frame_end(w);
	/* No record is so long: a gap in the sequence tells the other side. One that the other side
	 * cannot know is not begun at all. */
	if (!wr_ok(w)) {
		log_warn("replica frame not sent");
		explicit_bzero(r->out, OUT_SIZE);
		return;
	}
	r->said_ms = loop_now_ms(r->loop);
	r->bytes_sent += wr_len(w);
	r->ops.send(r->arg, w->start, wr_len(w));
	explicit_bzero(w->start, wr_len(w));
}

void
replica_say_beat(struct replica *r)
{
	struct wr w = replica_say(r, REPLICA_BEAT);

	replica_send(r, &w);
}

static void
say_hello(struct replica *r)
{
	struct replica_hello h = {.version_min = REPLICA_VERSION_MIN,
	    .version_max = REPLICA_VERSION,
	    .active = r->active,
	    .boot_id = r->config.boot_id,
	    .clean = !r->active && r->clean,
	    .clean_epoch = r->clean_epoch,
	    .cut = r->active ? r->next_cut : 0};
	struct wr w = replica_say(r, REPLICA_HELLO);

	snprintf(h.node, sizeof h.node, "%s", r->config.node);
	replica_report_announce(r, &h);
	replica_put_hello(&w, &h);
	replica_send(r, &w);
}

/* ---- the stream ends ---- */

/* After r->open is cleared. */
static void
ended(struct replica *r)
{
	bool met = r->met;

	r->open = r->met = false;
	r->generation++;
	explicit_bzero(r->in, r->in_len);
	r->in_len = 0;
	r->n_lags = 0;
	r->owes = false;
	timer_cancel(&r->beat);
	if (!met)
		return;
	if (r->active)
		replica_active_lost(r);
	else if (r->ops.changed != NULL)
		r->ops.changed(r->arg);
	replica_handover_lost(r);
}

void
replica_drop(struct replica *r, const char *fmt, ...)
{
	bool say = fmt != NULL && log_limit_ok(r->limit, 0, loop_now_ms(r->loop), NULL);
	va_list ap;

	if (!r->open)
		return;
	if (say) {
		va_start(ap, fmt);
		vsnprintf(r->why, sizeof r->why, fmt, ap);
		va_end(ap);
	}
	r->open = false;
	r->ops.hang_up(r->arg, say ? r->why : NULL);
	ended(r);
}

void
replica_disconnected(struct replica *r, const char *why)
{
	if (!r->open)
		return;
	log_info("replica stream ended peer=%s reason=\"%s\"",
	    r->met ? log_quote(r->peer.node, strlen(r->peer.node)) : "-", why != NULL ? why : "");
	r->open = false;
	ended(r);
}

/* ---- beats ---- */

static bool
is_late(const struct replica *r, uint64_t now)
{
	uint64_t limit = r->met ? REPLICA_SILENT_MS : REPLICA_HELLO_MS;

	return now - r->heard_ms >= limit;
}

static void
beat_cb(void *arg)
{
	struct replica *r = arg;
	uint64_t now = loop_now_ms(r->loop), generation = r->generation;
	bool wants = replica_active_wants(r);

	if (is_late(r, now)) {
		/* We may have been late ourselves: what has arrived meanwhile is read first. */
		if (r->grace) {
			replica_drop(r, "nothing heard for %llu ms",
			    (unsigned long long)(now - r->heard_ms));
			return;
		}
		r->grace = true;
		timer_set(&r->beat, 1);
		return;
	}
	if (r->n_lags > 0 && now - r->progress_ms >= REPLICA_STUCK_MS) {
		replica_drop(
		    r, "nothing applied for %llu ms", (unsigned long long)(now - r->progress_ms));
		return;
	}
	if (now - r->said_ms >= REPLICA_BEAT_MS)
		replica_say_beat(r);
	if (wants != r->told_wants && r->ops.changed != NULL) {
		r->told_wants = wants;
		r->ops.changed(r->arg);
	}
	if (r->generation == generation)
		timer_set(&r->beat, REPLICA_BEAT_MS / 2);
}

/* ---- HELLO ---- */

void
replica_connected(struct replica *r)
{
	uint64_t now = loop_now_ms(r->loop);

	if (r->open)
		replica_disconnected(r, "a newer stream is there");
	r->open = true;
	r->met = r->grace = r->owes = false;
	r->sent = r->received = r->applied = r->acked = 0;
	r->in_len = 0;
	r->lag_at = r->n_lags = 0;
	r->said_report = false;
	replica_report_end(r);
	r->since_ms = r->heard_ms = r->said_ms = r->progress_ms = now;
	r->hello_epoch = r->epoch;
	r->streams++;
	if (r->active)
		r->next_cut = r->cut + 1;
	timer_set(&r->beat, REPLICA_BEAT_MS / 2);
	say_hello(r);
}

/* The order of hagent/epoch.c: of equal epochs the node whose name sorts first is in force. */
static bool
peer_is_above(const struct replica *r, uint64_t epoch)
{
	if (epoch != r->epoch)
		return epoch > r->epoch;
	return strcmp(r->peer.node, r->config.node) < 0;
}

static void
yield(struct replica *r, uint64_t epoch)
{
	replica_drop(r, "%s serves under epoch %llu, we under %llu", r->peer.node,
	    (unsigned long long)epoch, (unsigned long long)r->epoch);
	if (r->ops.yield != NULL)
		r->ops.yield(r->arg, epoch);
}

static void
two_actives(struct replica *r, uint64_t epoch)
{
	if (peer_is_above(r, epoch))
		yield(r, epoch);
	else
		replica_drop(r, "%s serves under epoch %llu, not above ours", r->peer.node,
		    (unsigned long long)epoch);
}

/*
 * 0, or -1 when the stream has ended for it. What a standby says before it has read our HELLO may
 * bear an older epoch: that is its HELLO, and beats.
 */
static int
check_epoch(struct replica *r, const struct replica_frame *f)
{
	bool early = f->type == REPLICA_HELLO || f->type == REPLICA_BEAT;

#ifdef PHA_BROKEN_EPOCH
	/* Exists so that the simulation proves that it can fail: any epoch will do. */
	return 0;
#endif
	if (f->epoch > r->epoch && r->active) {
		yield(r, f->epoch);
		return -1;
	}
	if (f->epoch >= r->epoch || (!r->peer.active && (early || f->epoch >= r->hello_epoch))) {
		if (f->epoch > r->epoch)
			r->epoch = f->epoch;
		return 0;
	}
	replica_drop(r, "%s of epoch %llu, below ours, %llu", replica_type_name(f->type),
	    (unsigned long long)f->epoch, (unsigned long long)r->epoch);
	return -1;
}

/* The pair speaks the newest version that both know. */
static bool
agree(struct replica *r)
{
	const struct replica_hello *h = &r->peer;

	if (h->version_min > REPLICA_VERSION || h->version_max < REPLICA_VERSION_MIN) {
		replica_drop(r, "%s speaks versions %u to %u, we speak %u to %u", h->node,
		    h->version_min, h->version_max, REPLICA_VERSION_MIN, REPLICA_VERSION);
		return false;
	}
	r->version = h->version_max < REPLICA_VERSION ? h->version_max : REPLICA_VERSION;
	return true;
}

static void
meet(struct replica *r, uint64_t epoch)
{
	r->met = true;
	log_info("replica stream peer=%s role=%s epoch=%llu clean=%s reported=%u", r->peer.node,
	    r->peer.active ? "active" : "standby", (unsigned long long)epoch,
	    r->peer.clean ? "yes" : "no", r->n_told);
	if (r->active) {
		replica_active_met(r);
		replica_report_settled(r);
	} else if (r->peer.active) {
		r->held_cut = r->peer.cut;
		r->held_boot = r->peer.boot_id;
		replica_report_say(r);
	}
}

static void
hello(struct replica *r, const struct replica_frame *f)
{
	if (f->type != REPLICA_HELLO) {
		replica_drop(r, "%s before hello", replica_type_name(f->type));
		return;
	}
	if (replica_get_hello(f, &r->peer) < 0) {
		replica_drop(r, "hello: %s", strerror(errno));
		memset(&r->peer, 0, sizeof r->peer);
		return;
	}
	if (!agree(r))
		return;
	if (r->active && r->peer.active) {
		two_actives(r, f->epoch);
		return;
	}
	if (check_epoch(r, f) < 0)
		return;
	if (!r->active || !replica_report_expect(r))
		meet(r, f->epoch);
}

/* Between the standby's HELLO and the end of its report. */
static void
report(struct replica *r, const struct replica_frame *f)
{
	if (check_epoch(r, f) == 0 && replica_report_input(r, f))
		meet(r, f->epoch);
}

/* ---- input ---- */

static void
input_frame(struct replica *r, const struct replica_frame *f)
{
	if (f->sequence != r->received + 1) {
		replica_drop(r, "%s with sequence %llu after %llu", replica_type_name(f->type),
		    (unsigned long long)f->sequence, (unsigned long long)r->received);
		return;
	}
	r->received++;
	if (!r->met) {
		if (r->to_tell > 0)
			report(r, f);
		else
			hello(r, f);
		return;
	}
	if (f->type == REPLICA_HELLO) {
		replica_drop(r, "a second hello");
		return;
	}
	if (replica_handover_input(r, f) || check_epoch(r, f) < 0)
		return;
	if (r->active)
		replica_active_input(r, f);
	else if (r->peer.active)
		replica_standby_input(r, f);
	else if (f->type != REPLICA_BEAT)
		replica_drop(r, "%s between two standbys", replica_type_name(f->type));
}

/* Handles the whole frames in the buffer, and moves the rest to its front; behind it nothing of the
 * frames is left, for they hold keys. */
static void
drain(struct replica *r)
{
	struct rd in = rd_init(r->in, r->in_len);
	uint64_t generation = r->generation;
	struct replica_frame f;
	size_t left;
	int rc;

	while ((rc = replica_frame_next(&in, &f)) == 1) {
		input_frame(r, &f);
		if (r->generation != generation)
			return;
	}
	if (rc < 0) {
		replica_drop(r, "a frame that is none: %s", strerror(errno));
		return;
	}
	left = rd_left(&in);
	memmove(r->in, r->in + (r->in_len - left), left);
	explicit_bzero(r->in + left, r->in_len - left);
	r->in_len = left;
}

void
replica_input(struct replica *r, const uint8_t *bytes, size_t len)
{
	uint64_t generation = r->generation;
	struct rd from = rd_init(bytes, len);
	size_t n;

	if (!r->open)
		return;
	r->heard_ms = loop_now_ms(r->loop);
	r->grace = false;
	r->bytes_received += len;
	while (rd_left(&from) > 0) {
		n = IN_SIZE - r->in_len;
		if (n > rd_left(&from))
			n = rd_left(&from);
		rd_copy(&from, r->in + r->in_len, n);
		r->in_len += n;
		drain(r);
		if (r->generation != generation)
			return;
	}
	replica_standby_applied(r);
}

/* ---- for the reader ---- */

bool
replica_in_step(const struct replica *r)
{
	return r->active ? r->state == REPLICA_IN_SYNC : r->met && r->whole;
}

const struct mirror *
replica_mirror(const struct replica *r)
{
	return r->mirror;
}

void
replica_limit_copy(struct replica *r, size_t bytes)
{
	mirror_set_limit(r->mirror, bytes);
}

static uint64_t
lag_ms(const struct replica *r)
{
	uint64_t now = loop_now_ms(r->loop);

	if (!r->open)
		return 0;
	if (!r->active)
		return now - r->heard_ms;
	return r->n_lags > 0 ? now - r->lags[r->lag_at].ms : 0;
}

void
replica_get_status(const struct replica *r, struct replica_status *s)
{
	*s = (struct replica_status){
	    .state = r->state,
	    .connected = r->met,
	    .in_step = replica_in_step(r),
	    .whole = !r->active && r->whole,
	    .wants = replica_active_wants(r),
	    .stale = r->stale,
	    .clean = r->clean,
	    .failed = r->failed,
	    .marked = r->state == REPLICA_IN_SYNC,
	    .epoch = r->epoch,
	    .cut = r->cut,
	    .stale_cut = r->stale_cut,
	    .sent = r->sent,
	    .heard_ms = r->heard_ms,
	    .applied = r->active ? r->applied : r->received,
	    .lag_ms = lag_ms(r),
	    .sessions = r->active ? r->n_sessions : mirror_sessions(r->mirror),
	    .connections = r->active ? r->n_conns : mirror_connections(r->mirror),
	    .at_risk = r->active ? r->n_sessions - r->n_held : 0,
	    .snapshot_done = r->snapshot_done,
	    .snapshot_of = r->snapshot_of,
	    .snapshot_ms = r->snapshot_ms,
	    .bytes_sent = r->bytes_sent,
	    .bytes_received = r->bytes_received,
	    .streams = r->streams,
	    .marks_asked = r->marks_asked,
	    .commits = r->commits,
	    .shorts = r->shorts,
	    .settled = r->settled,
	    .version = r->version,
	    .handover = r->handover,
	    .handover_epoch = r->handover_epoch,
	};
	memcpy(s->peer, r->peer.node, sizeof s->peer);
}
