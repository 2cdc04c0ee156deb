/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of the control connection share: ctrl.c is the machine, ctrl_admit.c the books and
 * the door, ctrl_io.c the bytes. Nobody else includes it.
 */
#ifndef ENGINE_CTRL_PARTS_H
#define ENGINE_CTRL_PARTS_H

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"

/* ---- ctrl_admit.c ---- */

/* May there be one more, from t's peer? Somebody may have made room for it. */
bool ctrl_admit(struct engine *e, const struct tcp_snapshot *t);
/* Into the book of all connections, and out of every book. */
void ctrl_enter(struct ctrl *c);
void ctrl_leave(struct ctrl *c);
void ctrl_half_open(struct ctrl *c);
/* Half open no more: a stranger until ctrl_proven(). */
void ctrl_stranger(struct ctrl *c);

/* ---- ctrl_io.c ---- */

void ctrl_socket_options(int fd);
void ctrl_io_cb(int events, void *arg);

/* ---- ctrl.c ---- */

/* One message to the state machine. False = the connection has ended. */
bool ctrl_on_message(void *arg, const struct pptp_message *m);

#endif
