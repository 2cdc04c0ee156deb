/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a standby prepares from its copy, so that nothing is left to do for a session when it is
 * promoted: the firewall knows the call, the host route exists, the address is taken. A session
 * that goes on takes these over as they are; what it did not take goes with its copy.
 */
#ifndef ENGINE_STANDBY_H
#define ENGINE_STANDBY_H

#include "pptpd/engine/engine.h"
#include "pptpd/engine/mirror.h"

/* mirror_ops; arg is the engine. */
void standby_session(void *arg, const struct mirror_session *m);
void standby_gone(void *arg, const struct mirror_session *m);
/* The session of this copy goes on and owns its call and route from now on. */
void standby_release(struct engine *e, const struct mirror_session *m);
/* The copy as the owner of its address in the pool. */
void *standby_owner(const struct mirror_session *m);

#endif
