/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Giving the sessions and the virtual addresses to the peer, in order. Four steps with a deadline
 * each, and their lines in the journal under GIVE:
 *
 *   check     may it be (move.h)? What is only a matter of moments is waited for.
 *   prepare   the peer's agent makes ready (agent_take.c). Fails: nothing has happened.
 *   handover  our engine gives its sessions and relays from then on. Fails: it serves on.
 *   address   the track file says 1, keepalived moves the addresses. Fails: it says 0 again, so
 *             that they come back, and the tick puts role and daemon right.
 *
 * The plain way leaves the middle two out. A move for a fault, or one that is forced, goes the
 * plain way where a handover fails; any other ends there and we serve on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "hagent/dial.h"

#define SILENT_MS 1000  /* a peer that is to become active may be silent for so long */
#define AGAIN_MS  10000 /* a fault's handover that failed is not tried again before */
#define KEEP_MS   10000 /* a stream is left alone for so long at most */
#define PASS_MS   15000
#define SETTLE_MS 100 /* from its announcements to the last packet that comes to us */

static struct move_facts
facts(const struct agent *a)
{
	uint64_t now_ms = loop_now_ms(a->loop);
	struct move_facts f = {
	    .force = a->move.force,
	    .active = role_state(&a->role) == ROLE_ACTIVE,
	    .held = a->held && a->facts.keepalived == HEALTH_ALIVE,
	    .peer =
		{
		    .name = a->them->name,
		    .fresh = peer_fresh(&a->peer, now_ms),
		    .standby = peer_standby(&a->peer),
		    .maintenance = a->peer.maintenance,
		    .ready = a->peer.ready,
		    .prepares = a->peer.prepares,
		    .fault = a->peer.fault,
		    .problem = a->peer.problem,
		},
	};

	agent_replica_move(a, &f);
	return f;
}

static void
tell(struct agent_move *m, const char *text)
{
	snprintf(m->text, sizeof(m->text), "%s", text);
}

/* What failed did no harm. */
static void
no_handover(struct agent_move *m, const char *text)
{
	tell(m, text);
	if (m->force || m->automatic)
		m->way = MOVE_PLAIN;
	else
		m->failed = true;
}

/* ---- check ---- */

static void
check(struct agent *a)
{
	struct agent_move *m = &a->move;
	unsigned token = m->check_token;
	struct move_facts f = facts(a);
	struct move_verdict v;

	move_judge(&f, &v);
	tell(m, v.why);
	if (v.answer == MOVE_WAIT)
		return;
	m->check_token = 0;
	m->way = v.answer;
	m->sessions = f.sessions;
	steps_end(&m->steps, token, v.answer == MOVE_NO ? STEP_FAILED : STEP_OK, v.why);
}

static int
check_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	a->move.check_token = token;
	check(a);
	return 0;
}

static bool
check_cut(void *arg)
{
	((struct agent *)arg)->move.check_token = 0;
	return true;
}

/* True: the step is not for this move, and has ended. */
static bool
is_left_out(struct agent_move *m, unsigned token, bool plain_too)
{
	if (!m->failed && (plain_too || m->way == MOVE_HANDOVER))
		return false;
	steps_end(&m->steps, token, STEP_SKIPPED, m->failed ? "" : "the plain way");
	return true;
}

/* ---- prepare ---- */

/* In a child. */
static int
ask_peer(const struct agent *a, const char *cmd, json_t *args, int timeout_ms)
{
	json_t *answer = NULL;
	struct ssh_error e;
	struct dial d;

	if (dial_init(&d, a->h, a->options->user, &e) == 0)
		answer = dial_ask(&d, cmd, args, timeout_ms, &e);
	else
		json_decref(args);
	if (!answer)
		answer = json_pack("{s:b,s:{s:s,s:s}}", "ok", 0, "error", "code", dial_code(&e),
		    "message", log_quote(e.text, strlen(e.text)));
	putchar('\n');
	json_dumpf(answer, stdout, JSON_COMPACT);
	json_decref(answer);
	dial_fini(&d);
	return 0;
}

json_t *
agent_move_answer(const struct child_result *r)
{
	const char *line = r->cut ? NULL : strrchr(r->output, '\n');
	json_t *o = line ? json_loads(line + 1, 0, NULL) : NULL;

	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
}

static const char *
message_of(const json_t *answer)
{
	const char *text =
	    json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

	return text ? text : "the answer cannot be understood";
}

static bool
is_code(const json_t *answer, const char *code)
{
	const char *is =
	    json_string_value(json_object_get(json_object_get(answer, "error"), "code"));

	return is && strcmp(is, code) == 0;
}

static int
ask_to_prepare(void *arg)
{
	const struct agent *a = arg;

	return ask_peer(a, "prepare",
	    json_pack("{s:I,s:s}", "epoch", (json_int_t)a->move.epoch, "why", a->move.why),
	    (int)a->cluster->timeouts.prepare_ms);
}

static void
asked(void *arg, const struct child_result *r)
{
	struct agent_child *c = arg;
	struct agent_move *m = &c->agent->move;
	json_t *answer = agent_move_answer(r);
	unsigned token = c->token;
	char text[MOVE_TEXT];

	c->token = 0;
	if (r->cut || json_is_true(json_object_get(answer, "ok"))) {
		steps_end(&m->steps, token, STEP_OK, ""); /* of one that was cut: it is gone */
	} else {
		snprintf(text, sizeof(text), "%s: %s", c->agent->them->name, message_of(answer));
		no_handover(m, text);
		steps_end(&m->steps, token, STEP_FAILED, text);
	}
	json_decref(answer);
}

static int
prepare_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;
	struct agent_move *m = &a->move;
	uint64_t known = agent_counter(a);

	if (is_left_out(m, token, false))
		return 0;
	m->epoch = (a->peer.epoch.counter > known ? a->peer.epoch.counter : known) + 1;
	if (child_call(&m->ask.child, a->loop, ask_to_prepare, a,
		a->cluster->timeouts.prepare_ms + 1000, asked, &m->ask) < 0)
		return -1;
	m->ask.token = token;
	return 0;
}

static bool
prepare_cut(void *arg)
{
	struct agent_child *c = &((struct agent *)arg)->move.ask;

	if (!child_running(&c->child))
		return true;
	child_cut(&c->child);
	return false;
}

/* ---- handover ---- */

static void
handed(void *arg, json_t *answer)
{
	struct agent *a = arg;
	struct agent_move *m = &a->move;
	const json_t *data = json_object_get(answer, "data");
	bool good = json_is_true(json_object_get(answer, "ok"));
	unsigned token = m->order_token;
	char text[MOVE_TEXT];

	m->order = 0;
	m->given = good;
	m->given_ms = loop_now_ms(a->loop);
	if (good) {
		m->gave_epoch = m->epoch;
		/* Its own word comes with the next tick; the order to demote may be faster. */
		if (a->pptpd.epoch < m->epoch)
			a->pptpd.epoch = m->epoch;
		m->sessions = (unsigned)json_integer_value(json_object_get(data, "sessions"));
		snprintf(text, sizeof(text), "%u sessions", m->sessions);
		steps_end(&m->steps, token, STEP_OK, text);
		return;
	}
	snprintf(text, sizeof(text), "pptpd: %s", answer ? message_of(answer) : strerror(errno));
	no_handover(m, text);
	/*
	 * Where nobody knows whether the peer has them, the addresses stay, forced or not: it may
	 * have died of it. If it lives and serves, its higher epoch makes us yield.
	 */
	if (is_code(answer, "unknown-command")) {
		m->failed = false;
		m->way = MOVE_PLAIN;
	} else if (!answer || is_code(answer, "unknown")) {
		m->failed = true;
	}
	steps_end(&m->steps, token, STEP_FAILED, text);
}

static int
handover_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;
	struct agent_move *m = &a->move;

	if (is_left_out(m, token, false))
		return 0;
	m->order_token = token;
	m->order = answer_client_call(a->pptpd.orders, "handover",
	    json_pack("{s:I}", "epoch", (json_int_t)m->epoch),
	    a->cluster->timeouts.handover_ms + 1000, handed, a);
	return m->order ? 0 : -1;
}

static bool
handover_cut(void *arg)
{
	struct agent *a = arg;

	answer_client_forget(a->pptpd.orders, a->move.order);
	a->move.order = 0;
	return true;
}

/* ---- address ---- */

static int
address_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;
	struct agent_move *m = &a->move;

	if (is_left_out(m, token, true))
		return 0;
	m->tracked = true;
	m->address_token = token;
	agent_track(a, true, m->why, m->automatic);
	return 0;
}

static bool
address_cut(void *arg)
{
	((struct agent *)arg)->move.address_token = 0;
	return true;
}

static bool
is_moved(const struct agent *a)
{
	return a->move.tracked && peer_active(&a->peer) && !a->held && !agent_serves(a);
}

static bool
is_relaying(const struct agent *a)
{
	const char *state = json_string_value(json_object_get(agent_replica_handover(a), "state"));

	return state && strcmp(state, "none") != 0;
}

static void
see_to_the_address(struct agent *a)
{
	struct agent_move *m = &a->move;
	uint64_t now_ms = loop_now_ms(a->loop);
	unsigned token = m->address_token;
	char text[MOVE_TEXT];

	if (is_moved(a) && m->moved_ms == 0)
		m->moved_ms = now_ms;
	/* Only then may we be stopped: the last steps are over, and what was relayed is. */
	if (is_moved(a) && role_state(&a->role) == ROLE_STANDBY &&
	    !(m->leaving && is_relaying(a))) {
		m->address_token = 0;
		steps_end(&m->steps, token, STEP_OK, "");
	} else if (now_ms - a->peer.heard_ms >= SILENT_MS) {
		m->address_token = 0;
		snprintf(text, sizeof(text), "%s fell silent", a->them->name);
		steps_end(&m->steps, token, STEP_FAILED, text);
	} else if (!a->yielding) {
		agent_track(a, true, m->why, m->automatic); /* it could not be written */
	}
}

/* ---- begin and end ---- */

enum {
	S_CHECK,
	S_PREPARE,
	S_HANDOVER,
	S_ADDRESS
};
static const struct {
	const char *name;
	int (*begin)(struct steps *s, unsigned token, void *arg);
	bool (*cut)(void *arg);
} rows[MOVE_STEPS] = {
    [S_CHECK] = {"check", check_begin, check_cut},
    [S_PREPARE] = {"prepare", prepare_begin, prepare_cut},
    [S_HANDOVER] = {"handover", handover_begin, handover_cut},
    [S_ADDRESS] = {"address", address_begin, address_cut},
};

static void
on_step(void *arg, const struct steps_report *r)
{
	struct agent *a = arg;
	struct agent_move *m = &a->move;
	char text[MOVE_TEXT];

	agent_journal_step(a, r, "GIVE");
	if (r->result != STEP_FAILED && r->result != STEP_CUT)
		return;
	snprintf(text, sizeof(text), "%s: %s", r->step->name, r->detail);
	switch (r->step - m->list) {
	case S_CHECK: /* its text says why */
		m->failed = true;
		break;
	case S_PREPARE:
	case S_HANDOVER:
		if (r->result == STEP_CUT || !*m->text)
			no_handover(m, text);
		if (r->step == &m->list[S_HANDOVER] && r->result == STEP_CUT)
			m->failed = true; /* as where the engine does not know: see handed() */
		break;
	default:
		m->failed = true;
		tell(m, text);
	}
}

static const char *
way_name(const struct agent_move *m)
{
	return m->given ? "handover" : m->way == MOVE_NO ? "none" : "plain";
}

static json_t *
make_line(const struct agent *a, const char *result)
{
	const struct agent_move *m = &a->move;
	uint64_t end_ms = m->moved_ms != 0 ? m->moved_ms : loop_now_ms(a->loop);
	char begun[25];

	journal_time(m->begun_at, begun);
	return json_pack("{s:s,s:I,s:I,s:s,s:s,s:s,s:i,s:I,s:I,s:s,s:s,s:s}", "kind", "move", "id",
	    (json_int_t)m->id, "epoch", (json_int_t)a->epoch.counter, "result", result, "way",
	    way_name(m), "to", a->them->name, "sessions", (int)m->sessions, "ms",
	    (json_int_t)(end_ms - m->begun_ms), "given_ms",
	    (json_int_t)(m->given ? m->given_ms - m->begun_ms : 0), "begun", begun, "why", m->why,
	    "text", log_quote(m->text, strlen(m->text)));
}

static void
answer_askers(struct agent_move *m, const char *result, bool moved)
{
	size_t n = m->n_askers;

	m->n_askers = 0;
	for (size_t i = 0; i < n; i++) {
		if (moved)
			answer_ok(m->askers[i], json_incref(m->last));
		else
			answer_error(m->askers[i], result, "%s", m->text);
	}
}

static void
on_done(void *arg, uint64_t id)
{
	struct agent *a = arg;
	struct agent_move *m = &a->move;
	bool moved = is_moved(a);
	const char *result = moved ? "moved" : m->tracked || m->given ? "aborted" : "refused";

	(void)id;
	m->running = false;
	json_decref(m->last);
	m->last = make_line(a, result);
	log_info("move id=%llu to=%s result=%s way=%s sessions=%u ms=%llu why=\"%s\" text=\"%s\"",
	    (unsigned long long)m->id, a->them->name, result, way_name(m), m->sessions,
	    (unsigned long long)(loop_now_ms(a->loop) - m->begun_ms), m->why,
	    log_quote(m->text, strlen(m->text)));
	journal_add(&a->journal, json_incref(m->last));
	if (m->tracked && !(m->automatic && moved))
		agent_track(a, false, "", false);
	m->tracked = m->given = false;
	answer_askers(m, result, moved);
	agent_maintain_moved(a, moved, m->text);
}

void
agent_move_begin(struct agent *a, const struct agent_move_wish *w, struct answer_request *r)
{
	struct agent_move *m = &a->move;

	if (r && m->n_askers == MOVE_ASKERS) {
		answer_error(r, "busy", "a move is under way");
		return;
	}
	if (r)
		m->askers[m->n_askers++] = r;
	if (m->running) {
		m->leaving |= w->leaving;
		return;
	}
	m->running = true;
	m->force = w->force;
	m->automatic = w->automatic;
	m->leaving = w->leaving;
	m->failed = m->given = m->tracked = false;
	m->way = MOVE_NO;
	m->id = ++a->last_id;
	m->epoch = m->given_ms = m->moved_ms = 0;
	m->sessions = 0;
	m->begun_ms = loop_now_ms(a->loop);
	m->begun_at = journal_now_ms();
	m->text[0] = '\0';
	snprintf(m->why, sizeof(m->why), "%s", log_quote(w->why, strlen(w->why)));
	log_info("move begins id=%llu to=%s force=%d why=\"%s\"", (unsigned long long)m->id,
	    a->them->name, m->force, m->why);
	steps_run(&m->steps, m->list, MOVE_STEPS, m->id);
}

void
agent_move_superseded(struct agent *a, enum role_work work)
{
	struct agent_move *m = &a->move;

	(void)work;
	if (!m->running || m->tracked || m->given || m->order != 0)
		return;
	m->failed = true;
	tell(m, "keepalived, or a fault, was faster");
	steps_run(&m->steps, m->list, 0, m->id);
}

/* ---- what others ask ---- */

bool
agent_move_for_fault(struct agent *a, const char *why)
{
	struct agent_move *m = &a->move;
	uint64_t now_ms = loop_now_ms(a->loop);
	const struct agent_move_wish wish = {.why = why, .automatic = true};

	if (m->running)
		return true;
	if (!agent_serves(a) ||
	    (m->automatic && m->begun_ms != 0 && now_ms - m->begun_ms < AGAIN_MS))
		return false;
	agent_move_begin(a, &wish, NULL);
	return m->running;
}

bool
agent_move_busy(const struct agent *a)
{
	return a->move.running || agent_take_busy(a);
}

bool
agent_move_given(const struct agent *a)
{
	return a->move.running && a->move.given;
}

bool
agent_move_decides(struct agent *a)
{
	if (a->move.tracked)
		return true;
	if (!a->maintenance.on || agent_serves(a) ||
	    !move_maintenance_yields(
		peer_fresh(&a->peer, loop_now_ms(a->loop)), a->peer.fault, a->peer.maintenance))
		return false;
	agent_track(a, true, "maintenance", false);
	return true;
}

bool
agent_move_keeps_stream(const struct agent *a)
{
	uint64_t since_ms = a->move.stream_ms;

	return since_ms != 0 && loop_now_ms(a->loop) - since_ms < KEEP_MS;
}

void
agent_move_look(struct agent *a)
{
	struct agent_move *m = &a->move;
	bool promoting = role_state(&a->role) == ROLE_PROMOTING && a->take.written;

	if (!agent_move_busy(a) && !promoting && !is_relaying(a))
		m->stream_ms = 0;
	else if (m->stream_ms == 0)
		m->stream_ms = loop_now_ms(a->loop);
	if (!m->running || !peer_active(&a->peer))
		m->active_ms = 0;
	else if (m->active_ms == 0)
		m->active_ms = loop_now_ms(a->loop);
	m->unsettled = m->running && m->given &&
		       (m->active_ms == 0 || loop_now_ms(a->loop) - m->active_ms < SETTLE_MS);
	if (m->check_token != 0)
		check(a);
	if (m->address_token != 0)
		see_to_the_address(a);
}

json_t *
agent_move_json(const struct agent *a)
{
	const struct agent_move *m = &a->move;
	const char *phase = "check";

	if (!m->running)
		return json_null();
	if (m->address_token != 0)
		phase = "address";
	else if (m->order != 0)
		phase = "handover";
	else if (child_running(&m->ask.child))
		phase = "prepare";
	return json_pack("{s:s,s:s,s:I,s:s}", "phase", phase, "to", a->them->name, "ms",
	    (json_int_t)(loop_now_ms(a->loop) - m->begun_ms), "why", m->why);
}

/* ---- commands ---- */

static int
pass_switchover(void *arg)
{
	const struct agent *a = arg;

	return ask_peer(a, "switchover",
	    json_pack("{s:b,s:s}", "force", a->move.pass_force, "why", "asked for at the standby"),
	    PASS_MS);
}

static void
passed(void *arg, const struct child_result *r)
{
	struct agent_move *m = &((struct agent_child *)arg)->agent->move;
	struct answer_request *asker = m->passed;
	json_t *answer = agent_move_answer(r), *error = json_object_get(answer, "error");
	const char *code = json_string_value(json_object_get(error, "code"));

	m->passed = NULL;
	if (json_is_true(json_object_get(answer, "ok")))
		answer_ok(asker, json_incref(json_object_get(answer, "data")));
	else
		answer_error(asker, code ? code : "late", "%s",
		    answer ? message_of(answer) : "the peer did not answer in time");
	json_decref(answer);
}

/* We stand by: the peer's agent is asked. */
static void
pass_on(struct agent *a, bool force, struct answer_request *r)
{
	struct agent_move *m = &a->move;

	m->pass_force = force;
	if (m->passed)
		answer_error(r, "busy", "the peer has been asked already");
	else if (child_call(&m->pass.child, a->loop, pass_switchover, a, PASS_MS + 1000, passed,
		     &m->pass) < 0)
		answer_error(r, "failed", "%s", strerror(errno));
	else
		m->passed = r;
}

void
agent_move_ask(struct answer_request *r, json_t *args, struct agent *a, bool of_peer)
{
	const char *why = json_string_value(json_object_get(args, "why"));
	struct agent_move_wish wish = {
	    .why = why ? why : "switchover",
	    .force = json_is_true(json_object_get(args, "force")),
	};

	if (agent_serves(a) || of_peer)
		agent_move_begin(a, &wish, r);
	else if (peer_fresh(&a->peer, loop_now_ms(a->loop)) && peer_active(&a->peer))
		pass_on(a, wish.force, r);
	else
		answer_error(r, "refused", "neither this gateway nor %s serves", a->them->name);
}

void
agent_move_leave(struct answer_request *r, json_t *args, struct agent *a)
{
	const char *what = json_string_value(json_object_get(args, "what"));
	char why[64];
	const struct agent_move_wish wish = {.why = why, .leaving = true};

	if (!agent_serves(a)) {
		answer_ok(r, json_pack("{s:s}", "result", "stands by"));
		return;
	}
	snprintf(why, sizeof(why), "%s is to stop", what ? what : "a daemon");
	agent_move_begin(a, &wish, r);
}

void
agent_move_init(struct agent *a)
{
	struct agent_move *m = &a->move;
	const unsigned deadlines[MOVE_STEPS] = {a->cluster->timeouts.check_ms,
	    a->cluster->timeouts.prepare_ms, a->cluster->timeouts.handover_ms,
	    a->cluster->timeouts.address_ms};

	m->ask.agent = m->pass.agent = a;
	for (unsigned i = 0; i < MOVE_STEPS; i++)
		m->list[i] = (struct step){
		    .name = rows[i].name,
		    .after = i > 0 ? 1U << (i - 1) : 0,
		    .deadline_ms = deadlines[i],
		    .begin = rows[i].begin,
		    .cut = rows[i].cut,
		};
	steps_init(&m->steps, a->loop, on_step, on_done, a);
}

void
agent_move_fini(struct agent *a)
{
	struct agent_move *m = &a->move;

	steps_fini(&m->steps);
	child_fini(&m->ask.child);
	child_fini(&m->pass.child);
	tell(m, "the agent ends");
	answer_askers(m, "ending", false);
	if (m->passed)
		answer_error(m->passed, "ending", "the agent ends");
	m->passed = NULL;
}
