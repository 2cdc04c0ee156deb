/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which files travel, and whether a set from the peer may be installed. A set is chap-secrets,
 * options.pptpd, pptpd.conf, cluster.conf, by whatever names pptpd.conf and cluster.conf give them,
 * and what cluster.conf's sync.files lists: exactly these.
 */
#ifndef HAGENT_SET_FILES_H
#define HAGENT_SET_FILES_H

#include "hagent/hagent.h"
#include "sync/set.h"

/*
 * Names the files of our own set (paths, and the mode of the secrets), by our own pptpd.conf and
 * cluster.conf. What these do not say, because they are missing or broken, is as by default.
 */
int set_files_ours(const struct hagent *h, struct set *set, struct set_problem *p);

/*
 * theirs has bytes. 0, or -1 with "invalid" and all messages of the parsers: each file must parse
 * as the daemon and the agent will, both nodes must be in cluster.conf, the paths must be those
 * that the files name. A path outside the usual places, or an executable, is refused unless our own
 * configuration names it already (allowed has the paths of set_files_ours()): the peer's
 * account must not become root here by way of a file.
 */
int set_files_check(const struct hagent *h, const struct set *theirs, const struct set *allowed,
    struct set_problem *p);

#endif
