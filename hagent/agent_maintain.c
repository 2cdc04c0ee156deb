/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Maintenance: the operator works on this gateway. It moves away first, and stays away while the
 * other one is there and can serve (move.h); it goes on mirroring, so that it is in step when
 * maintenance ends, and then nothing moves. If it had to serve meanwhile, because the other one was
 * gone, it moves away again when that one is back and in step. A file in the state folder keeps it
 * over restarts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"

#define FILE_MS  2000
#define AGAIN_MS 5000

/* In a child: the file is there, or is gone, for good. */
static int
turn_file(void *arg)
{
	const struct agent *a = arg;
	const char *path = a->maintenance.path;
	int folder = open(a->state_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = folder < 0;

	if (!a->maintenance.goal) {
		rc |= unlink(path) < 0 && errno != ENOENT;
	} else {
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		rc |= fd < 0 || fsync(fd) < 0;
		if (fd >= 0)
			close(fd);
	}
	rc |= folder >= 0 && fsync(folder) < 0;
	if (rc)
		fprintf(stderr, "%s: %s", path, strerror(errno));
	if (folder >= 0)
		close(folder);
	return rc;
}

static void
refuse(struct agent *a, const char *code, const char *text)
{
	struct answer_request *asker = a->maintenance.asker;

	a->maintenance.asker = NULL;
	a->maintenance.turning = false;
	if (asker)
		answer_error(asker, code, "%s", text);
}

static void
turned(void *arg, const struct child_result *r)
{
	struct agent *a = ((struct agent_child *)arg)->agent;
	struct agent_maintenance *m = &a->maintenance;
	struct answer_request *asker = m->asker;

	if (r->status != 0) {
		refuse(a, "failed", log_quote(r->output, r->output_len));
		return;
	}
	m->asker = NULL;
	m->turning = false;
	m->on = m->goal;
	m->since = journal_now_ms();
	journal_event(&a->journal, m->on ? "maintenance-on" : "maintenance-off", "%s",
	    m->on ? "this gateway stays away while the other one can serve" : "nothing moves");
	if (asker)
		answer_ok(asker,
		    json_pack("{s:b,s:s}", "maintenance", m->on, "role", role_name(&a->role)));
}

static void
turn(struct agent *a)
{
	struct agent_maintenance *m = &a->maintenance;

	if (child_call(&m->child.child, a->loop, turn_file, a, FILE_MS, turned, &m->child) < 0)
		refuse(a, "failed", strerror(errno));
}

/* On a standby: NULL = it may stay away. */
static const char *
refusal(const struct agent *a)
{
	uint64_t now_ms = loop_now_ms(a->loop);

	if (!peer_fresh(&a->peer, now_ms) || !peer_active(&a->peer))
		return "the other gateway does not serve";
	if (a->peer.maintenance)
		return "the other gateway is in maintenance";
	return NULL;
}

/* {"on":true,"force":false} */
void
agent_maintain_turn(struct answer_request *r, json_t *args, struct agent *a)
{
	struct agent_maintenance *m = &a->maintenance;
	bool on = json_is_true(json_object_get(args, "on"));
	bool force = json_is_true(json_object_get(args, "force"));
	const struct agent_move_wish wish = {.why = "maintenance", .force = force};

	if (m->turning) {
		answer_error(r, "busy", "it is being turned on or off");
		return;
	}
	m->turning = true;
	m->goal = on;
	m->asker = r;
	if (on && agent_serves(a))
		agent_move_begin(a, &wish, NULL); /* agent_maintain_moved() goes on */
	else if (on && !force && refusal(a))
		refuse(a, "refused", refusal(a));
	else
		turn(a);
}

void
agent_maintain_moved(struct agent *a, bool moved, const char *text)
{
	struct agent_maintenance *m = &a->maintenance;

	if (!m->turning || !m->goal || child_running(&m->child.child))
		return;
	if (moved)
		turn(a);
	else
		refuse(a, "refused", text);
}

/* It serves because the other one was gone; if that one could take over, it is to. */
void
agent_maintain_look(struct agent *a)
{
	struct agent_maintenance *m = &a->maintenance;
	uint64_t now_ms = loop_now_ms(a->loop);
	const struct agent_move_wish wish = {.why = "maintenance"};

	if (!m->on || m->turning || role_state(&a->role) != ROLE_ACTIVE || agent_move_busy(a)) {
		m->again_ms = now_ms + AGAIN_MS;
		return;
	}
	if (now_ms < m->again_ms || !peer_fresh(&a->peer, now_ms) || !peer_standby(&a->peer) ||
	    a->peer.fault > HEALTH_NOTE || a->peer.maintenance || !agent_replica_covers(a))
		return;
	agent_move_begin(a, &wish, NULL);
}

void
agent_maintain_init(struct agent *a)
{
	struct agent_maintenance *m = &a->maintenance;
	struct stat st;

	m->child.agent = a;
	if (stat(m->path, &st) < 0)
		return;
	m->on = true;
	m->since = (int64_t)st.st_mtim.tv_sec * 1000;
}

void
agent_maintain_fini(struct agent *a)
{
	child_fini(&a->maintenance.child.child);
	refuse(a, "ending", "the agent ends");
}
