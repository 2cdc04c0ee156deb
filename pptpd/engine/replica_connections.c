/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The active's control connections: output commit. What a client is told waits until the standby
 * has applied the record that says so; in a cut, until it is decided who goes on. One record of a
 * connection is on its way at a time, and commits what is in it: who speaks often waits for one
 * round trip, not for the end of his own speech.
 */
#include <string.h>

#include "pptpd/engine/replica_internal.h"

void
replica_unqueue_connection(struct replica *r, struct replica_connection *c)
{
	if (c->place == REPLICA_QUEUED)
		TAILQ_REMOVE(&r->dirty, c, work);
	else if (c->place == REPLICA_SENT)
		TAILQ_REMOVE(&r->wait, c, work);
	if (c->place == REPLICA_SENT && c->frame != 0)
		r->conns_out--;
	c->place = REPLICA_IDLE;
}

void
replica_queue_connection(struct replica *r, struct replica_connection *c)
{
	replica_unqueue_connection(r, c);
	c->place = REPLICA_QUEUED;
	if (c->waiting)
		TAILQ_INSERT_HEAD(&r->dirty, c, work);
	else
		TAILQ_INSERT_TAIL(&r->dirty, c, work);
	replica_soon(r);
}

void
replica_add_connection(struct replica *r, struct replica_connection *c, uint64_t id)
{
	if (!r->active || c->member)
		return;
	c->id = id;
	c->member = true;
	c->frame = 0;
	c->waiting = c->again = false;
	c->place = REPLICA_IDLE;
	TAILQ_INSERT_TAIL(&r->conns, c, entry);
	r->n_conns++;
	if (replica_streaming(r))
		replica_queue_connection(r, c);
}

void
replica_remove_connection(struct replica *r, struct replica_connection *c)
{
	if (!c->member)
		return;
	replica_unqueue_connection(r, c);
	c->member = c->waiting = c->again = false;
	TAILQ_REMOVE(&r->conns, c, entry);
	r->n_conns--;
	if (c->frame != 0 && replica_streaming(r))
		replica_say_gone(r, REPLICA_CONNECTION_GONE, c->id);
	c->frame = 0;
}

bool
replica_changed(struct replica *r, struct replica_connection *c)
{
	if (!c->member)
		return false;
	if (replica_streaming(r)) {
		c->waiting = true;
		if (c->place == REPLICA_SENT)
			c->again = true;
		else
			replica_queue_connection(r, c);
		return true;
	}
	if (r->state != REPLICA_CUT)
		return false;
	if (!c->waiting) {
		c->waiting = true;
		replica_unqueue_connection(r, c);
		c->place = REPLICA_SENT;
		TAILQ_INSERT_TAIL(&r->wait, c, work);
	}
	return true;
}

void
replica_commit(struct replica *r, struct replica_connection *c)
{
	bool waiting = c->waiting;

	replica_unqueue_connection(r, c);
	c->waiting = c->again;
	c->again = false;
	if (c->waiting)
		replica_queue_connection(r, c);
	if (!waiting)
		return;
	r->commits++;
	r->ops.committed(r->arg, c);
}

void
replica_pump_connections(struct replica *r)
{
	struct connection_record record;
	struct replica_connection *c;
	struct wr w;

	while (replica_streaming(r) && (c = TAILQ_FIRST(&r->dirty)) != NULL &&
	       (c->waiting || replica_giving(r) || r->conns_out < CONNS_MAX)) {
		memset(&record, 0, sizeof record);
		r->ops.connection(r->arg, c, &record);
		w = replica_say(r, REPLICA_CONNECTION);
		replica_put_connection(&w, &record);
		connection_record_wipe(&record);
		replica_unqueue_connection(r, c);
		c->again = false;
		c->frame = r->sent;
		c->place = REPLICA_SENT;
		TAILQ_INSERT_TAIL(&r->wait, c, work);
		r->conns_out++;
		replica_send(r, &w);
	}
}

void
replica_active_release(struct replica *r)
{
	struct replica_connection *c;
	uint64_t generation = r->generation;

	while (r->generation == generation && (c = TAILQ_FIRST(&r->wait)) != NULL)
		replica_commit(r, c);
}
