/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of the control connection share: ctrl.c is the machine, ctrl_life.c beginning and
 * end, ctrl_admit.c the books and the door, ctrl_io.c the bytes, ctrl_state.c the record,
 * ctrl_restore.c the sockets after a takeover, ctrl_handover.c a planned move. Nobody else includes
 * it.
 */
#ifndef ENGINE_CTRL_PARTS_H
#define ENGINE_CTRL_PARTS_H

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"

enum ctrl_event {
	/* Message types come first, by their number: PPTP_SCCRQ .. PPTP_SLI */
	CTRL_EVENT_UNKNOWN = PPTP_TYPE_MAX + 1,
	CTRL_EVENT_STOP, /* we want to stop */
	CTRL_EVENT_CLOSE,
	CTRL_EVENT_MAX
};

/* ---- ctrl.c ---- */

extern const struct fsm_table ctrl_table;
/* One message to the state machine. False = the connection has ended. */
bool ctrl_on_message(void *arg, const struct pptp_message *m);
/* The timer as the state wants it. */
void ctrl_set_timer(struct ctrl *c);
/* Likewise after a takeover: somewhere in its interval, so that not all say the same at once. */
void ctrl_spread_timer(struct ctrl *c);
void ctrl_timer_cb(void *arg);

/* ---- ctrl_life.c ---- */

/* A connection without a socket, in no state but t's addresses; not in the books yet. */
struct ctrl *ctrl_new(struct engine *e, const struct tcp_snapshot *t, enum ctrl_state state);
/* The action of CTRL_EVENT_CLOSE. */
void ctrl_end(void *object, void *detail);
/* It is gone: writes what is left on closing_fd, if there is one, and closes it. */
void ctrl_finish(struct ctrl *c);

/* ---- ctrl_admit.c ---- */

/* May there be one more, from t's peer? Somebody may have made room for it. */
bool ctrl_admit(struct engine *e, const struct tcp_snapshot *t);
/* Ends a connection that is not taken; takes fd over. */
void ctrl_refuse(struct engine *e, int fd);
/* Into the book of all connections, and out of every book. */
void ctrl_enter(struct ctrl *c);
void ctrl_leave(struct ctrl *c);
void ctrl_half_open(struct ctrl *c);
/* Half open no more: a stranger until ctrl_proven(). */
void ctrl_stranger(struct ctrl *c);

/* ---- ctrl_io.c ---- */

void ctrl_socket_options(int fd, bool restored);
void ctrl_io_cb(int events, void *arg);
void ctrl_room_cb(void *arg);
/* Reads what has arrived; the connection may end. */
void ctrl_read_all(struct ctrl *c);
/* Bytes of the client, read by us or by the gateway that had the connection before. */
void ctrl_got(struct ctrl *c, const uint8_t *bytes, size_t len);
void ctrl_pause(struct ctrl *c, bool on);
/* The socket is ours again: goes on reading, and writes what may be written. */
void ctrl_resume(struct ctrl *c);
/* Something was read or is to be written: the standby is told, or it is written. */
void ctrl_settle(struct ctrl *c);
/* Bytes of what was written that the kernel has not seen acknowledged, as far as we have them. */
size_t ctrl_unacked(const struct ctrl *c);
/* True: what waits must be told to the standby first, and that is on its way. */
bool ctrl_must_wait(struct ctrl *c);
/* The standby need not know it any more; idle: if it has no session that is up. */
void ctrl_unreplicate(struct ctrl *c);
void ctrl_unreplicate_idle(struct ctrl *c);
/* The longest part of out[0..len) that ends with a message and has no more than room bytes. begun:
 * where the first whole one begins. */
size_t ctrl_whole_messages(const uint8_t *out, size_t len, size_t begun, size_t room);

/* ---- ctrl_restore.c ---- */

/* It waits for a socket from now on: it is new, or was taken apart for the next try. */
void ctrl_restore_add(struct ctrl *c);
/* It is gone for good: no socket is wanted. False: the monitor works on it; the answer frees it. */
bool ctrl_restore_forget(struct ctrl *c);
void ctrl_restore_stop(struct engine *e);
void ctrl_restore_free(struct engine *e);      /* when the monitor answers no more */
void ctrl_late_socket(struct ctrl *c, int fd); /* ctrl_life.c: it came for one that is gone */

/* ---- ctrl_watch.c ---- */

/* Opens the ear; then, or when that has failed, ready(e) is called. */
void ctrl_watch_start(struct engine *e, void (*ready)(struct engine *e));
void ctrl_watch(struct ctrl *c);        /* its socket is being restored */
void ctrl_unwatch(struct ctrl *c);      /* harmless if it is not watched */
void ctrl_forget_probe(struct ctrl *c); /* it is freed */
void ctrl_watch_stop(struct engine *e);
void ctrl_watch_free(struct engine *e);

#endif
