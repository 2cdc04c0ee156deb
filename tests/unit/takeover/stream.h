/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The stream of the simulation: bytes in order, late, in pieces of any size; it may be cut at any
 * byte, and a power cut leaves the other end waiting.
 */
#ifndef TESTS_TAKEOVER_STREAM_H
#define TESTS_TAKEOVER_STREAM_H

#include "tests/unit/takeover/engine.h"

static void node_crash(struct node *n, bool power);

static void
pipe_clear(struct pipe *p)
{
	struct segment *g;

	while ((g = p->first) != NULL) {
		p->first = g->next;
		free(g);
	}
	*p = (struct pipe){.last = &p->first};
}

static void
pipe_put(struct world *w, struct pipe *p, const uint8_t *bytes, size_t len)
{
	struct segment *g = malloc(sizeof *g + len);

	memcpy(g->bytes, bytes, len);
	g->len = len;
	g->at = 0;
	g->next = NULL;
	g->due = w->now + chance(w, w->calm ? 2 : 4);
	if (g->due < p->newest_ms)
		g->due = p->newest_ms;
	p->newest_ms = g->due;
	*p->last = g;
	p->last = &g->next;
}

/* The engine says one frame. This may be the one at which somebody dies. */
static void
stream_send(struct node *n, const uint8_t *bytes, size_t len)
{
	struct world *w = n->w;
	struct pipe *p = &w->stream.to[!n->n];
	bool now = w->crash_at != 0 && ++w->said == w->crash_at;

	if (!w->stream.attached[n->n] || p->fin)
		return;
	if (now && w->crash_how == 0)
		len = 0; /* before it leaves */
	else if (now && w->crash_how == 1)
		len = chance(w, len);
	if (len > 0)
		pipe_put(w, p, bytes, len);
}

/* This end is closed: the other side reads what was said, then the end. */
static void
stream_close(struct node *n)
{
	struct stream *s = &n->w->stream;

	if (!s->attached[n->n])
		return;
	s->attached[n->n] = false;
	s->to[!n->n].fin = true;
}

static void
stream_open(struct world *w)
{
	struct stream *s = &w->stream;

	for (unsigned i = 0; i < 2; i++)
		if (s->attached[i]) {
			s->attached[i] = false;
			replica_disconnected(w->n[i].r, "a newer stream is there");
		}
	pipe_clear(&s->to[0]);
	pipe_clear(&s->to[1]);
	s->attached[0] = s->attached[1] = true;
	trace(w, "stream opens");
	replica_connected(w->n[0].r);
	if (s->attached[1])
		replica_connected(w->n[1].r);
}

/* Lets what is due arrive at n, in pieces. */
static void
stream_deliver(struct node *n)
{
	struct world *w = n->w;
	struct stream *s = &w->stream;
	struct pipe *p = &s->to[n->n];
	struct segment *g;

	while (s->attached[n->n] && (g = p->first) != NULL && g->due <= w->now) {
		size_t len = g->len - g->at;

		if (!w->calm && chance(w, 8) == 0)
			len = 1 + chance(w, len);
		replica_input(n->r, g->bytes + g->at, len);
		if (p->first != g) /* the input opened another stream, or ended this one */
			return;
		g->at += len;
		if (g->at == g->len) {
			p->first = g->next;
			if (p->first == NULL)
				p->last = &p->first;
			free(g);
		} else {
			break;
		}
	}
	if (s->attached[n->n] && p->first == NULL && p->fin) {
		s->attached[n->n] = false;
		s->to[!n->n].fin = true;
		replica_disconnected(n->r, "closed by the peer");
	}
}

/* A part of what is on its way arrives, the rest never does. */
static void
stream_reset(struct world *w)
{
	trace(w, "stream is reset");
	for (unsigned i = 0; i < 2; i++) {
		struct pipe *p = &w->stream.to[i];
		struct segment *g, *next;
		uint64_t keep = chance(w, 6);

		for (g = p->first; g != NULL && keep > 0; g = g->next, keep--)
			g->due = w->now;
		if (g != NULL) {
			g->due = w->now;
			if (g->len - g->at > 1)
				g->len = g->at + 1 + chance(w, g->len - g->at - 1);
			for (struct segment *x = g->next; x != NULL; x = next) {
				next = x->next;
				free(x);
			}
			g->next = NULL;
			p->last = &g->next;
		}
		stream_deliver(&w->n[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		if (w->stream.attached[i]) {
			w->stream.attached[i] = false;
			replica_disconnected(w->n[i].r, "reset");
		}
	pipe_clear(&w->stream.to[0]);
	pipe_clear(&w->stream.to[1]);
}

static void
stream_run(struct world *w)
{
	struct stream *s = &w->stream;
	bool wanted = w->n[0].wishes.mirrors || w->n[1].wishes.mirrors;

	if (path_open(w, PATH_SYNC)) {
		unsigned first = (unsigned)chance(w, 2);

		stream_deliver(&w->n[first]);
		stream_deliver(&w->n[!first]);
	}
	if (w->crash_at != 0 && w->said >= w->crash_at) {
		w->crash_at = 0;
		if (w->crash_cuts)
			stream_reset(w);
		else
			node_crash(&w->n[w->crash_node], true);
	}
	if (s->attached[0] && s->attached[1])
		return;
	if (!wanted || !w->n[0].engine_up || !w->n[1].engine_up || !path_open(w, PATH_SYNC)) {
		s->dial_ms = 0;
	} else if (s->dial_ms == 0) {
		s->dial_ms = w->now + 5 + chance(w, 60);
	} else if (w->now >= s->dial_ms) {
		s->dial_ms = 0;
		stream_open(w);
	}
}

#endif
