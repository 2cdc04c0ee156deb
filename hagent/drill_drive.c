/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The drive: feeds the machine with the outcome of each part until it is done, then makes and sends
 * the report. It is broken off by SIGTERM, and when its agent does not answer any more.
 */
#include "hagent/drill_drive.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/drill_sniff.h"
#include "hagent/drill_store.h"
#include "hagent/words.h"

#define STATUS_MS 1000
#define GONE_US   2000000 /* our agent is silent for so long: it has died */
#define ASK_MS    3000
#define BEAT_MS   20

static volatile sig_atomic_t told;

static void
tell(int signo)
{
	told = signo;
}

/* ---- for the parts ---- */

void
drill_say(struct drill_drive *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
}

static void
look_for_abort(struct drill_drive *d)
{
	if (d->aborted || !told)
		return;
	d->aborted = true;
	drill_say(d, "it was broken off");
}

bool
drill_look(struct drill_drive *d)
{
	json_t *o = drill_here_ask(&d->peer, d->h, HAGENT_SOCKET, "status", NULL, STATUS_MS);
	uint64_t now_us = (uint64_t)drill_now_us();

	if (!o) {
		if (d->agent_gone_us == 0)
			d->agent_gone_us = now_us;
		return false;
	}
	d->agent_gone_us = 0;
	json_decref(d->status);
	d->status = o;
	return true;
}

/* Whether our agent is there is looked at each second. */
bool
drill_wait_ms(struct drill_drive *d, int64_t ms)
{
	int64_t end_us = drill_now_us() + ms * 1000, look_us = 0;
	const struct timespec pause = {.tv_nsec = BEAT_MS * 1000000L};

	for (;;) {
		int64_t now_us = drill_now_us();

		if (now_us >= look_us) {
			(void)drill_look(d);
			look_us = now_us + 500000;
		}
		look_for_abort(d);
		if (d->agent_gone_us != 0 && (uint64_t)now_us - d->agent_gone_us > GONE_US &&
		    !d->aborted) {
			d->aborted = true;
			drill_say(d, "the agent of this gateway does not answer any more");
		}
		if (d->aborted || now_us >= end_us)
			return !d->aborted;
		nanosleep(&pause, NULL);
	}
}

bool
drill_is_whole(const struct drill_drive *d)
{
	const json_t *peer = json_object_get(d->status, "peer"),
		     *replica = json_object_get(d->status, "replica");
	const char *role = words_text(d->status, "role"), *theirs = words_text(peer, "role");
	bool one = (strcmp(role, "active") == 0 && strcmp(theirs, "standby") == 0) ||
		   (strcmp(role, "standby") == 0 && strcmp(theirs, "active") == 0);

	return one && words_is(peer, "fresh") && words_is(replica, "in_step") &&
	       !words_is(d->status, "transition_running");
}

/* ---- the course ---- */

static void
report_progress(struct drill_drive *d, enum drill_state s)
{
	json_decref(drill_here_ask(&d->peer, d->h, HAGENT_SOCKET, "drill-progress",
	    json_pack(
		"{s:s,s:s,s:s}", "drill", d->id, "phase", drill_state_name(s), "text", d->why),
	    STATUS_MS));
}

static void
end_phase(struct drill_drive *d, enum drill_state s, enum drill_event e)
{
	static const char *const results[] = {"ok", "failed", "aborted"};

	json_array_append_new(
	    d->phases, json_pack("{s:s,s:s,s:I,s:s}", "name", drill_state_name(s), "result",
			   results[e], "ms", (json_int_t)((drill_now_us() - d->phase_us) / 1000),
			   "text", log_quote(d->text, strlen(d->text))));
	log_info("drill id=%s part=%s result=%s text=\"%s\"", d->id, drill_state_name(s),
	    results[e], log_quote(d->text, strlen(d->text)));
	if (e == DRILL_EV_OK || d->failed)
		return;
	d->failed = true;
	d->failed_in = s;
	snprintf(d->why, sizeof(d->why), "%s", d->text);
}

static void
drive(struct drill_drive *d)
{
	drill_machine_init(&d->machine);
	while (d->machine.state != DRILL_DONE) {
		enum drill_state s = (enum drill_state)d->machine.state;
		enum drill_event e;

		d->text[0] = '\0';
		d->phase_us = drill_now_us();
		report_progress(d, s);
		if ((int)s == d->abort_at && !d->aborted) {
			d->aborted = true;
			drill_say(d, "it was to be broken off here");
		}
		look_for_abort(d);
		e = d->aborted && s < DRILL_UNDO ? DRILL_EV_ABORT : drill_do(d, s);
		end_phase(d, s, e);
		drill_machine_feed(&d->machine, e);
	}
}

/* ---- the report ---- */

static void
judge(struct drill_drive *d, json_t *report)
{
	char why[DRILL_TEXT + 64];

	if (!d->failed || d->failed_in == DRILL_BACK) {
		drill_report_judge(report, &d->plan);
		return;
	}
	if (!d->aborted && (d->failed_in == DRILL_CHECK || !d->struck)) {
		drill_report_end(report, DRILL_REFUSED, d->why,
		    "Nothing was done. Put right what the reason names, then run it again.");
		return;
	}
	if (!d->aborted) {
		snprintf(why, sizeof(why), "%s (in %s)", d->why, drill_state_name(d->failed_in));
		drill_report_judge(report, &d->plan);
		json_object_set_new(
		    report, "verdict", json_string(drill_verdict_name(DRILL_FAILED)));
		json_object_set_new(report, "why", json_string(why));
		return;
	}
	snprintf(why, sizeof(why), "%s, in %s", d->why, drill_state_name(d->failed_in));
	drill_report_end(report, DRILL_ABORTED, why,
	    d->whole ? "" : "The pair is not whole: see hagent status on both gateways.");
}

static json_t *
make_report(struct drill_drive *d)
{
	const struct drill_seen s = {
	    .plan = &d->plan,
	    .id = d->id,
	    .node = d->peer.dial.us->name,
	    .from = d->peer.dial.them->name,
	    .to = d->peer.dial.us->name,
	    .scheduled = d->scheduled,
	    .begun_ms = d->begun_ms,
	    .ended_ms = drill_wall_us() / 1000,
	    .fault_us = d->struck ? d->fault_us : 0,
	    .fault_ms = d->fault_ms,
	    .clock_us = d->clock.ahead_us,
	    .clock_error_us = d->clock.error_us,
	    .wall_ms = d->clock.wall_ms,
	    .old = d->have_theirs ? &d->theirs : NULL,
	    .new = d->have_ours ? &d->ours : NULL,
	    .before = d->before,
	    .after = d->after,
	    .old_journal = d->their_journal,
	    .new_journal = d->our_journal,
	    .witness = d->witness_said,
	    .load = d->load_said,
	    .fail_back = d->fail_back,
	    .phases = d->phases,
	    .dropped = d->dropped,
	};
	json_t *o = drill_report(&s);

	if (o)
		judge(d, o);
	return o;
}

/* Ours first, then the peer's copy; the agent sees to it if the peer cannot be asked now. */
static int
keep(struct drill_drive *d, const json_t *report)
{
	char *folder = hagent_path(d->h, HAGENT_DRILLS);
	int result = drill_store_write(folder, d->id, report);
	json_t *stored = NULL;

	if (result < 0)
		log_warn("drill report folder=%s error=\"%s\"", folder, strerror(errno));
	else
		stored = drill_peer_ask(&d->peer, "drill-store",
		    json_pack("{s:s,s:O}", "drill", d->id, "report", report), ASK_MS);
	json_decref(drill_here_ask(&d->peer, d->h, HAGENT_SOCKET, "drill-done",
	    json_pack("{s:s,s:b}", "drill", d->id, "pushed", stored != NULL), ASK_MS));
	json_decref(stored);
	free(folder);
	return result;
}

static void
release(struct drill_drive *d)
{
	json_t *const all[] = {d->status, d->before, d->after, d->our_journal, d->their_journal,
	    d->witness_said, d->load_said, d->fail_back, d->phases};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_decref(all[i]);
	if (d->have_ours)
		drill_watch_fini(&d->ours);
	if (d->have_theirs)
		drill_watch_fini(&d->theirs);
	drill_peer_fini(&d->peer);
}

int
drill_drive_run(struct drill_drive *d)
{
	const struct sigaction action = {.sa_handler = tell};
	json_t *report = NULL;
	bool passed = false;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->begun_ms = drill_wall_us() / 1000;
	d->phases = json_array();
	d->failed_in = DRILL_CHECK;
	d->drops = d->dropped = -1;
	drive(d);
	drill_witness_end(d);
	report = make_report(d);
	if (report) {
		passed = strcmp(words_text(report, "verdict"), "passed") == 0;
		log_info("drill id=%s verdict=%s why=\"%s\"", d->id, words_text(report, "verdict"),
		    log_quote(words_text(report, "why"), strlen(words_text(report, "why"))));
		passed &= keep(d, report) == 0;
	}
	json_decref(report);
	release(d);
	return passed ? HAGENT_OK : HAGENT_FAIL;
}
