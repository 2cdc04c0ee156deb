/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The machine of the control connection and its one call (RFC 2637 §2, §3.1.2: the originator), and
 * its way down: Terminate-Request, Call-Clear-Request, Stop-Request.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hagent/client_internal.h"

#define RESULT_OK     1
#define CLOSE_LINK_MS 1500
#define MAX_BPS       100000000

static const char *const states[] = {
    "idle", "connecting", "starting", "calling", "link", "up", "closing", "stopping", "ended"};
static const char *const events[CLIENT_EV_MAX] = {"", "SCCRQ", "SCCRP", "StopCCRQ", "StopCCRP",
    "EchoRQ", "EchoRP", "OCRQ", "OCRP", "ICRQ", "ICRP", "ICCN", "CCRQ", "CDN", "WEN", "SLI",
    "start", "connected", "started", "called", "up", "finished", "close", "fail", "break"};

void
client_say(struct pptp_client *c, const struct pptp_message *m)
{
	uint8_t bytes[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(bytes, sizeof(bytes));

	if (c->tcp_open && pptp_encode(m, &w) == 0)
		c->io->send_tcp(c->io_arg, bytes, wr_len(&w));
}

static void
dial(void *object, void *detail)
{
	struct pptp_client *c = object;

	client_step_timer(c);
	c->heard_ms = loop_now_ms(c->loop);
	if (c->io->dial(c->io_arg, c->o.server, c->o.port, c->o.source) < 0)
		pptp_client_cut(c, errno);
}

static void
say_start(void *object, void *detail)
{
	struct pptp_client *c = object;

	client_done(c, PPTP_STEP_TCP);
	client_say(c, &(struct pptp_message){.type = PPTP_SCCRQ,
			  .version = PPTP_VERSION,
			  .framing = 3,
			  .bearer = 3,
			  .max_channels = 65535,
			  .firmware = 1,
			  .host = "probe",
			  .vendor = "pptp-ha"});
}

/* What a server calls itself, as it may stand in a line for a person. */
static void
keep_name(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s", log_quote(name, strlen(name)));
}

/* Some servers say 0 and mean success. */
static void
on_start_reply(void *object, void *detail)
{
	struct pptp_client *c = object;
	const struct pptp_message *m = detail;

	if (m->result > RESULT_OK) {
		client_note(c, PPTP_WHY_START_REFUSED, "result %u, error %u", m->result, m->error);
		fsm_event(&c->fsm, CLIENT_EV_FAIL, c, NULL);
		return;
	}
	keep_name(c->host, sizeof(c->host), m->host);
	keep_name(c->vendor, sizeof(c->vendor), m->vendor);
	fsm_event(&c->fsm, CLIENT_EV_STARTED, c, NULL);
}

static void
say_call(void *object, void *detail)
{
	struct pptp_client *c = object;

	client_done(c, PPTP_STEP_START);
	do
		c->s.call_id = (uint16_t)arc4random();
	while (c->s.call_id == 0);
	client_say(c, &(struct pptp_message){.type = PPTP_OCRQ,
			  .call_id = c->s.call_id,
			  .serial = 1,
			  .min_bps = 2400,
			  .max_bps = MAX_BPS,
			  .bearer = 3,
			  .framing = 3,
			  .window = 64});
}

static void
on_call_reply(void *object, void *detail)
{
	struct pptp_client *c = object;
	const struct pptp_message *m = detail;

	if (m->peer_call_id != c->s.call_id)
		return;
	if (m->result > RESULT_OK) {
		client_note(c, PPTP_WHY_CALL_REFUSED, "result %u, error %u", m->result, m->error);
		fsm_event(&c->fsm, CLIENT_EV_FAIL, c, NULL);
		return;
	}
	c->s.peer_call_id = m->call_id;
	fsm_event(&c->fsm, CLIENT_EV_CALLED, c, NULL);
}

static void
on_disconnect(void *object, void *detail)
{
	struct pptp_client *c = object;
	const struct pptp_message *m = detail;

	if (m->call_id != c->s.peer_call_id && m->call_id != c->s.call_id)
		return;
	client_note(c, client_why_terminated(c, PPTP_WHY_CALL_CLEARED), "%s",
	    c->seen.said[0] != '\0' ? c->seen.said : "Call-Disconnect-Notify");
	fsm_event(&c->fsm, CLIENT_EV_FAIL, c, NULL);
}

/* The call ended before it was answered, or while the link says goodbye. */
static void
on_early_disconnect(void *object, void *detail)
{
	struct pptp_client *c = object;

	client_note(c, PPTP_WHY_CALL_CLEARED, "Call-Disconnect-Notify");
	fsm_event(&c->fsm, CLIENT_EV_FAIL, c, NULL);
}

static void
on_echo_request(void *object, void *detail)
{
	const struct pptp_message *m = detail;

	client_say(object, &(struct pptp_message){
			       .type = PPTP_ECHO_RP, .echo_id = m->echo_id, .result = RESULT_OK});
}

static void
on_stop_request(void *object, void *detail)
{
	struct pptp_client *c = object;
	const struct pptp_message *m = detail;

	client_note(
	    c, client_why_terminated(c, PPTP_WHY_CLOSED), "Stop-Request, reason %u", m->reason);
	client_say(c, &(struct pptp_message){.type = PPTP_STOP_RP, .result = RESULT_OK});
	fsm_event(&c->fsm, CLIENT_EV_BREAK, c, NULL);
}

static void
on_stop_reply(void *object, void *detail)
{
	struct pptp_client *c = object;

	fsm_event(&c->fsm, CLIENT_EV_BREAK, c, NULL);
}

static void
say_goodbye(void *object, void *detail)
{
	struct pptp_client *c = object;

	c->link_up = false;
	if (c->s.call_id != 0)
		client_say(c, &(struct pptp_message){.type = PPTP_CCRQ, .call_id = c->s.call_id});
	client_say(c, &(struct pptp_message){.type = PPTP_STOP_RQ, .reason = 1});
	timer_set(&c->timer, CLIENT_STOP_MS);
}

void
client_close_link(void *object, void *detail)
{
	struct pptp_client *c = object;

	timer_set(&c->timer, CLOSE_LINK_MS);
	ppp_close(c->ppp, PPP_CAUSE_LOCAL);
}

static void
end(void *object, void *detail)
{
	struct pptp_client *c = object;

	c->link_up = false;
	c->tcp_open = false;
	c->io->hang_up(c->io_arg);
	c->s.ended = true;
	c->s.ended_us = client_now_us(c);
	timer_cancel(&c->timer);
	timer_cancel(&c->echo);
	timer_cancel(&c->gre_timer);
	timer_set(&c->tell, 0);
}

static const struct fsm_row rows[] = {
    {CLIENT_IDLE, CLIENT_EV_START, dial, CLIENT_CONNECTING},
    {CLIENT_IDLE, CLIENT_EV_CLOSE, end, CLIENT_ENDED},
    {CLIENT_CONNECTING, CLIENT_EV_CONNECTED, say_start, CLIENT_STARTING},
    {CLIENT_CONNECTING, CLIENT_EV_CLOSE, end, CLIENT_ENDED},
    {CLIENT_STARTING, PPTP_SCCRP, on_start_reply, FSM_STAY},
    {CLIENT_STARTING, CLIENT_EV_STARTED, say_call, CLIENT_CALLING},
    {CLIENT_STARTING, CLIENT_EV_CLOSE, say_goodbye, CLIENT_STOPPING},
    {CLIENT_CALLING, PPTP_OCRP, on_call_reply, FSM_STAY},
    {CLIENT_CALLING, CLIENT_EV_CALLED, client_open_link, CLIENT_LINK},
    {CLIENT_CALLING, PPTP_CDN, on_early_disconnect, FSM_STAY},
    {CLIENT_CALLING, CLIENT_EV_CLOSE, say_goodbye, CLIENT_STOPPING},
    {CLIENT_LINK, CLIENT_EV_UP, client_came_up, CLIENT_UP},
    {CLIENT_LINK, PPTP_CDN, on_disconnect, FSM_STAY},
    {CLIENT_LINK, CLIENT_EV_FINISHED, say_goodbye, CLIENT_STOPPING},
    {CLIENT_LINK, CLIENT_EV_CLOSE, client_close_link, CLIENT_CLOSING},
    {CLIENT_UP, PPTP_CDN, on_disconnect, FSM_STAY},
    {CLIENT_UP, CLIENT_EV_FINISHED, say_goodbye, CLIENT_STOPPING},
    {CLIENT_UP, CLIENT_EV_CLOSE, client_close_link, CLIENT_CLOSING},
    {CLIENT_CLOSING, PPTP_CDN, say_goodbye, CLIENT_STOPPING},
    {CLIENT_CLOSING, CLIENT_EV_FINISHED, say_goodbye, CLIENT_STOPPING},
    {CLIENT_CLOSING, CLIENT_EV_CLOSE, end, CLIENT_ENDED},
    {CLIENT_STOPPING, PPTP_STOP_RP, on_stop_reply, FSM_STAY},
    {CLIENT_STOPPING, PPTP_CDN, NULL, FSM_STAY},
    {CLIENT_STOPPING, CLIENT_EV_FINISHED, NULL, FSM_STAY},
    {CLIENT_STOPPING, CLIENT_EV_FAIL, NULL, FSM_STAY},
    {CLIENT_STOPPING, CLIENT_EV_CLOSE, end, CLIENT_ENDED},
    {CLIENT_ENDED, CLIENT_EV_FAIL, NULL, FSM_STAY},
    {CLIENT_ENDED, CLIENT_EV_BREAK, NULL, FSM_STAY},
    {CLIENT_ENDED, CLIENT_EV_CLOSE, NULL, FSM_STAY},
    {FSM_ANY, PPTP_ECHO_RQ, on_echo_request, FSM_STAY},
    {FSM_ANY, PPTP_ECHO_RP, NULL, FSM_STAY},
    {FSM_ANY, PPTP_STOP_RQ, on_stop_request, FSM_STAY},
    {FSM_ANY, CLIENT_EV_FAIL, say_goodbye, CLIENT_STOPPING},
    {FSM_ANY, CLIENT_EV_BREAK, end, CLIENT_ENDED},
};

const struct fsm_table client_table = {
    .name = "client",
    .states = states,
    .events = events,
    .n_states = 9,
    .n_events = CLIENT_EV_MAX,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};
