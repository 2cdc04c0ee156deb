/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent's part in drills: who may run one, which processes work for it, what the peer may ask
 * of us while it drives one. Nothing of a drill is done on the agent's loop but answers from
 * memory. Private to hagent/agent*.c.
 */
#ifndef HAGENT_AGENT_DRILL_H
#define HAGENT_AGENT_DRILL_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/answer.h"
#include "common/loop.h"
#include "hagent/child.h"
#include "hagent/drill.h"
#include "hagent/flap.h"

struct agent;

struct agent_drill {
	char id[DRILL_ID_MAX]; /* of the one that we drive or take part in; "" = none */
	bool drives;
	pid_t driver, guard; /* processes of their own; 0 = none */
	json_t *running;     /* how far ours is; NULL = none */
	json_t *list;        /* summaries of all reports, newest first */
	struct timer expiry; /* of a drill of the peer's */
	struct child watch;
	struct answer_request *leaver;
	struct child pass;             /* a wish that the peer is to fulfil */
	struct answer_request *passed; /* who waits for it */
	json_t *pass_args;
	const char *pass_cmd;
	struct child push; /* reports that the peer lacks */
	bool unsent;
	uint64_t push_ms;
	struct child writer; /* of the report of a drill whose process died; of the first look */
	bool link_down[2];   /* the drill's: wan, lan */
	/* As they were before: a failure that was made on purpose is none. */
	struct flap flap;
	struct flap_times moves;
};

int agent_drill_init(struct agent *a);
void agent_drill_fini(struct agent *a);
void agent_drill_look(struct agent *a);                           /* each tick */
bool agent_drill_link_down(const struct agent *a, unsigned link); /* 0 = wan, 1 = lan */

/* {"drills":[...],"running":null|{...}}, and a report by its id (NULL with errno): new references.
 */
json_t *agent_drills_json(struct agent *a);
json_t *agent_drill_json(struct agent *a, const char *id);

/* Commands of the agent's socket, */
void agent_drill_run(struct answer_request *r, json_t *args, void *arg);
void agent_drill_abort(struct answer_request *r, json_t *args, void *arg);
void agent_drill_list(struct answer_request *r, json_t *args, void *arg);
void agent_drill_show(struct answer_request *r, json_t *args, void *arg);
void agent_drill_progress(struct answer_request *r, json_t *args, void *arg);
void agent_drill_done(struct answer_request *r, json_t *args, void *arg);
void agent_drill_struck(struct answer_request *r, json_t *args, void *arg);
/* and of the peer. agent_drill_peer.c */
void agent_drill_run_of_peer(struct answer_request *r, json_t *args, void *arg);
void agent_drill_abort_of_peer(struct answer_request *r, json_t *args, void *arg);
void agent_drill_join(struct answer_request *r, json_t *args, void *arg);
void agent_drill_clock(struct answer_request *r, json_t *args, void *arg);
void agent_drill_sessions(struct answer_request *r, json_t *args, void *arg);
void agent_drill_fault(struct answer_request *r, json_t *args, void *arg);
void agent_drill_leave(struct answer_request *r, json_t *args, void *arg);
void agent_drill_read(struct answer_request *r, json_t *args, void *arg);
void agent_drill_journal(struct answer_request *r, json_t *args, void *arg);
void agent_drill_have(struct answer_request *r, json_t *args, void *arg);
void agent_drill_store(struct answer_request *r, json_t *args, void *arg);

/* For both files. A process of ours that outlives us: its pid, or -1 with errno. */
pid_t agent_drill_spawn(struct agent *a, const char *const *words);
void agent_drill_folder(const struct agent *a, char *out, size_t size);
/* A report is new: the list has it. */
void agent_drill_note(struct agent *a, const json_t *report);
/* Ours is over, or the peer's: nothing stays of it. */
void agent_drill_forget(struct agent *a);

#endif
