/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an end means. The protocol library says what it gave up on; here that is put together with
 * what the server said on the way, so that an operator hears of the cause and not of the symptom.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "common/log.h"
#include "hagent/client_internal.h"

enum {
	CONF_REQ = 1,
	CONF_ACK,
	CONF_NAK,
	CONF_REJ,
	TERM_REQ,
	PROTO_REJ = 8,
	CHAP_CHALLENGE = 1,
	CHAP_SUCCESS = 3,
	CHAP_FAILURE = 4,
	LCP_AUTH = 3,
	CCP_MPPE = 18,
	IPCP_ADDRESS = 3,
	ERROR_PASSWORD = 691,
};

#define MPPE_STATELESS 0x01000000u
#define MPPE_128       0x00000040u
#define CHAP_MS_V2     0x81
#define AT_ONCE_US     2500000

static const char *const why_names[PPTP_WHY_MAX] = {
    [PPTP_WHY_NONE] = "none",
    [PPTP_WHY_LOCAL] = "local",
    [PPTP_WHY_MACHINE] = "machine",
    [PPTP_WHY_NO_ROUTE] = "no-route",
    [PPTP_WHY_UNREACHABLE] = "unreachable",
    [PPTP_WHY_PROHIBITED] = "prohibited",
    [PPTP_WHY_REFUSED] = "refused",
    [PPTP_WHY_TIMEOUT] = "timeout",
    [PPTP_WHY_SILENT] = "silent",
    [PPTP_WHY_CLOSED] = "closed",
    [PPTP_WHY_RESET] = "reset",
    [PPTP_WHY_NOT_PPTP] = "not-pptp",
    [PPTP_WHY_START_REFUSED] = "start-refused",
    [PPTP_WHY_CALL_REFUSED] = "call-refused",
    [PPTP_WHY_CALL_CLEARED] = "call-cleared",
    [PPTP_WHY_NO_LINK] = "no-link",
    [PPTP_WHY_GRE_FILTERED] = "gre-filtered",
    [PPTP_WHY_GRE_ONE_WAY] = "gre-one-way",
    [PPTP_WHY_GRE_REFUSED] = "gre-refused",
    [PPTP_WHY_GRE_WRONG_CALL] = "gre-wrong-call",
    [PPTP_WHY_GRE_ELSEWHERE] = "gre-elsewhere",
    [PPTP_WHY_LOOPED] = "looped",
    [PPTP_WHY_LCP] = "lcp",
    [PPTP_WHY_AUTH_METHOD] = "auth-method",
    [PPTP_WHY_AUTH_NONE] = "auth-none",
    [PPTP_WHY_PASSWORD] = "password",
    [PPTP_WHY_ACCOUNT] = "account",
    [PPTP_WHY_AUTH_SILENT] = "auth-silent",
    [PPTP_WHY_SERVER_FALSE] = "server-false",
    [PPTP_WHY_MPPE_REFUSED] = "mppe-refused",
    [PPTP_WHY_MPPE_WEAK] = "mppe-weak",
    [PPTP_WHY_MPPE_SILENT] = "mppe-silent",
    [PPTP_WHY_NO_ADDRESS] = "no-address",
    [PPTP_WHY_IPCP] = "ipcp",
    [PPTP_WHY_TERMINATED] = "terminated",
    [PPTP_WHY_ECHO] = "echo",
};

const char *
pptp_why_name(enum pptp_why w)
{
	return (unsigned)w < PPTP_WHY_MAX ? why_names[w] : "?";
}

/* ---- what the server says on the way ---- */

/* The option's value in a Configure-Request, -Nak or -Reject's body; false: it is not there. */
static bool
find_option(struct rd body, uint8_t wanted, struct rd *value)
{
	while (rd_left(&body) >= 2) {
		uint8_t type = rd_u8(&body), len = rd_u8(&body);

		if (len < 2)
			return false;
		*value = rd_sub(&body, len - 2);
		if (!rd_ok(&body))
			return false;
		if (type == wanted)
			return true;
	}
	return false;
}

static void
name_method(struct client_evidence *e, struct rd value)
{
	uint16_t protocol = rd_u16(&value);
	uint8_t algorithm = rd_left(&value) > 0 ? rd_u8(&value) : 0;

	e->auth_asked = true;
	e->auth_other = protocol != PPP_CHAP || algorithm != CHAP_MS_V2;
	if (protocol == PPP_CHAP && (algorithm == CHAP_MS_V2 || algorithm == 5))
		snprintf(
		    e->method, sizeof(e->method), "%s", algorithm == 5 ? "CHAP-MD5" : "MS-CHAPv2");
	else if (protocol == PPP_CHAP && algorithm == 0x80)
		snprintf(e->method, sizeof(e->method), "MS-CHAPv1");
	else if (protocol == PPP_CHAP)
		snprintf(e->method, sizeof(e->method), "CHAP algorithm %u", algorithm);
	else
		snprintf(e->method, sizeof(e->method), "%s", ppp_protocol_name(protocol));
}

static void
watch_lcp(struct client_evidence *e, uint8_t code, struct rd body)
{
	struct rd value;

	if (code == CONF_REQ && find_option(body, LCP_AUTH, &value))
		name_method(e, value);
	e->answered |= code >= CONF_ACK && code <= CONF_REJ;
	if (code == TERM_REQ && rd_left(&body) > 0)
		snprintf(e->said, sizeof(e->said), "%s",
		    log_quote((const char *)body.p, rd_left(&body)));
	if (code == PROTO_REJ && rd_u16(&body) == PPP_CCP)
		e->ccp_rejected = true;
}

static void
watch_chap(struct client_evidence *e, uint8_t code, struct rd body)
{
	char text[128] = "";
	const char *at;
	size_t n = rd_left(&body) < sizeof(text) - 1 ? rd_left(&body) : sizeof(text) - 1;

	e->challenged |= code == CHAP_CHALLENGE;
	e->success |= code == CHAP_SUCCESS;
	if (code != CHAP_FAILURE)
		return;
	rd_copy(&body, text, n);
	if ((at = strstr(text, "E=")) != NULL)
		e->chap_error = (unsigned)strtoul(at + 2, NULL, 10);
}

static void
watch_ccp(struct client_evidence *e, uint8_t code, struct rd body)
{
	struct rd value;

	e->ccp_heard = true;
	if ((code == CONF_REQ || code == CONF_NAK) && find_option(body, CCP_MPPE, &value))
		e->ccp_bits = rd_u32(&value);
	if ((code == CONF_REJ && find_option(body, CCP_MPPE, &value)) || code == TERM_REQ)
		e->ccp_rejected = true;
}

static void
watch_ipcp(struct client_evidence *e, uint8_t code, struct rd body)
{
	struct rd value;

	e->ipcp_heard = true;
	if (code == CONF_REJ && find_option(body, IPCP_ADDRESS, &value))
		e->addressless = true;
}

void
client_watch(struct pptp_client *c, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct rd r = rd_init(payload, len), body;
	uint8_t code = rd_u8(&r);
	uint16_t length;

	rd_skip(&r, 1);
	length = rd_u16(&r);
	if (!rd_ok(&r) || length < 4)
		return;
	body = rd_sub(&r, length - 4u);
	if (!rd_ok(&r))
		return;
	if (protocol == PPP_LCP)
		watch_lcp(&c->seen, code, body);
	else if (protocol == PPP_CHAP)
		watch_chap(&c->seen, code, body);
	else if (protocol == PPP_CCP)
		watch_ccp(&c->seen, code, body);
	else if (protocol == PPP_IPCP)
		watch_ipcp(&c->seen, code, body);
}

/* ---- what an end means ---- */

static enum pptp_why
why_no_mppe(const struct pptp_client *c)
{
	const struct client_evidence *e = &c->seen;
	bool usable = (e->ccp_bits & MPPE_STATELESS) != 0 && (e->ccp_bits & MPPE_128) != 0;

	if (e->ccp_bits != 0 && !usable)
		return PPTP_WHY_MPPE_WEAK;
	if (e->ccp_rejected || e->ccp_heard || e->ipcp_heard)
		return PPTP_WHY_MPPE_REFUSED;
	return PPTP_WHY_MPPE_SILENT;
}

static enum pptp_why
why_no_gre(const struct pptp_client *c)
{
	if (c->seen.icmp_gre)
		return PPTP_WHY_GRE_REFUSED;
	if (c->seen.elsewhere != 0)
		return PPTP_WHY_GRE_ELSEWHERE;
	return c->seen.wrong_call ? PPTP_WHY_GRE_WRONG_CALL : PPTP_WHY_GRE_FILTERED;
}

static enum pptp_why
why_no_lcp(const struct pptp_client *c)
{
	if (c->n.gre_received == 0)
		return why_no_gre(c);
	if (!c->seen.answered)
		return c->seen.icmp_gre ? PPTP_WHY_GRE_REFUSED : PPTP_WHY_GRE_ONE_WAY;
	return c->seen.auth_other ? PPTP_WHY_AUTH_METHOD : PPTP_WHY_LCP;
}

/* It said something, and not even the head of a message. */
static bool
babbles(const struct pptp_client *c)
{
	return !c->heard && c->seen.garbage[0] != '\0' && c->framer.have < PPTP_HEADER_LEN;
}

/* The first step that is not done tells what the link was about. */
enum pptp_why
client_why_silent(const struct pptp_client *c)
{
	switch (c->s.step) {
	case PPTP_STEP_TCP:
		return PPTP_WHY_TIMEOUT;
	case PPTP_STEP_START:
	case PPTP_STEP_CALL:
		return babbles(c) ? PPTP_WHY_NOT_PPTP : PPTP_WHY_SILENT;
	case PPTP_STEP_LCP:
		return why_no_lcp(c);
	case PPTP_STEP_AUTH:
		return PPTP_WHY_AUTH_SILENT;
	case PPTP_STEP_CCP:
		return why_no_mppe(c);
	case PPTP_STEP_IPCP:
		return c->seen.addressless ? PPTP_WHY_NO_ADDRESS : PPTP_WHY_IPCP;
	default:
		return PPTP_WHY_ECHO;
	}
}

enum pptp_why
client_why_cut(const struct pptp_client *c, int error)
{
	if (babbles(c))
		return PPTP_WHY_NOT_PPTP;
	if (error == 0)
		return client_why_terminated(c, PPTP_WHY_CLOSED);
	if (c->fsm.state > CLIENT_CONNECTING)
		return error == ETIMEDOUT ? PPTP_WHY_ECHO
					  : client_why_terminated(c, PPTP_WHY_RESET);
	if (c->seen.prohibited || error == EACCES || error == EPERM)
		return PPTP_WHY_PROHIBITED;
	switch (error) {
	case ECONNREFUSED:
		return PPTP_WHY_REFUSED;
	case ENETUNREACH:
		return c->seen.icmp_tcp ? PPTP_WHY_UNREACHABLE : PPTP_WHY_NO_ROUTE;
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENOPROTOOPT:
		return PPTP_WHY_UNREACHABLE;
	case ETIMEDOUT:
		return PPTP_WHY_TIMEOUT;
	case ECONNRESET:
		return PPTP_WHY_RESET;
	default:
		return PPTP_WHY_MACHINE;
	}
}

/*
 * Sooner than a PPP that hears nothing gives up: it never began to speak. What took longer without
 * any GRE is a filter's work.
 */
static bool
hung_up_at_once(const struct pptp_client *c)
{
	uint64_t called_us = c->s.done_us[PPTP_STEP_CALL];

	return c->n.gre_received == 0 && !c->seen.icmp_gre &&
	       client_now_us(c) - called_us < AT_ONCE_US;
}

/* The text in a Terminate-Request is a help, no proof; that and the hang-up come in any order. */
enum pptp_why
client_why_terminated(const struct pptp_client *c, enum pptp_why otherwise)
{
	const struct client_evidence *e = &c->seen;

	if (c->fsm.state != CLIENT_LINK)
		return otherwise;
	if (e->chap_error != 0)
		return e->chap_error == ERROR_PASSWORD ? PPTP_WHY_PASSWORD : PPTP_WHY_ACCOUNT;
	if (c->s.step == PPTP_STEP_LCP && hung_up_at_once(c))
		return PPTP_WHY_NO_LINK;
	if (c->s.step == PPTP_STEP_LCP)
		return why_no_lcp(c) == PPTP_WHY_LCP ? otherwise : why_no_lcp(c);
	if (c->s.step == PPTP_STEP_AUTH)
		return PPTP_WHY_AUTH_SILENT;
	if (strstr(e->said, "address") != NULL || e->addressless)
		return PPTP_WHY_NO_ADDRESS;
	if (c->s.step == PPTP_STEP_CCP)
		return e->ccp_heard || e->ccp_rejected ? why_no_mppe(c) : otherwise;
	return c->s.step == PPTP_STEP_IPCP ? PPTP_WHY_IPCP : otherwise;
}

enum pptp_why
client_why_link(const struct pptp_client *c, enum ppp_cause cause)
{
	switch (cause) {
	case PPP_CAUSE_LOCAL:
		return PPTP_WHY_LOCAL;
	case PPP_CAUSE_AUTH_REFUSED:
		return c->seen.auth_other ? PPTP_WHY_AUTH_METHOD : PPTP_WHY_AUTH_NONE;
	case PPP_CAUSE_AUTH_FAILED:
		return c->seen.chap_error == 0 || c->seen.chap_error == ERROR_PASSWORD
			   ? PPTP_WHY_PASSWORD
			   : PPTP_WHY_ACCOUNT;
	case PPP_CAUSE_AUTH_TIMEOUT:
		return PPTP_WHY_AUTH_SILENT;
	case PPP_CAUSE_SERVER_FALSE:
		return PPTP_WHY_SERVER_FALSE;
	case PPP_CAUSE_NO_MPPE:
	case PPP_CAUSE_REKEY_REFUSED:
		return why_no_mppe(c);
	case PPP_CAUSE_NO_ADDRESS:
		return PPTP_WHY_NO_ADDRESS;
	case PPP_CAUSE_ECHO:
		return PPTP_WHY_ECHO;
	case PPP_CAUSE_LOOP:
		return PPTP_WHY_LOOPED;
	case PPP_CAUSE_PEER:
		return client_why_terminated(c, PPTP_WHY_TERMINATED);
	default:
		return client_why_silent(c);
	}
}
