/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MS-CHAPv2 in CHAP packets (RFC 1994, RFC 2759), both roles. The outcome goes to the link; the
 * start keys go to the owner and stay nowhere here. Neither passwords, hashes nor keys are logged.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "pptpd/ppp/link.h"

enum {
	CHALLENGE = 1,
	RESPONSE,
	SUCCESS,
	FAILURE
};

#define RESPONSE_VALUE_LEN 49 /* peer challenge, 8 reserved, NT response, flags */
#define MESSAGE_MAX        128

struct packet {
	uint8_t code, id;
	struct rd body;
};

static void
send_packet(struct ppp *p, uint8_t code, uint8_t id, const void *body, size_t len)
{
	uint8_t bytes[512];
	struct wr w = wr_init(bytes, sizeof(bytes));

	wr_u8(&w, code);
	wr_u8(&w, id);
	wr_u16(&w, (uint16_t)(4 + len));
	wr_copy(&w, body, len);
	if (wr_ok(&w))
		link_send(p, PPP_CHAP, bytes, wr_len(&w));
}

/* Value-Size, the value's parts, the name. */
static void
send_valued(struct ppp *p, uint8_t code)
{
	struct chap *c = &p->chap;
	const char *name = p->c->name != NULL ? p->c->name : "";
	size_t name_len = strnlen(name, CHAP_MAX_NAME);
	uint8_t body[1 + RESPONSE_VALUE_LEN + CHAP_MAX_NAME];
	struct wr w = wr_init(body, sizeof(body));

	if (code == CHALLENGE) {
		wr_u8(&w, sizeof(c->auth_challenge));
		wr_copy(&w, c->auth_challenge, sizeof(c->auth_challenge));
	} else {
		wr_u8(&w, RESPONSE_VALUE_LEN);
		wr_copy(&w, c->peer_challenge, sizeof(c->peer_challenge));
		wr_zero(&w, 8);
		wr_copy(&w, c->nt_response, sizeof(c->nt_response));
		wr_u8(&w, 0);
	}
	wr_copy(&w, name, name_len);
	send_packet(p, code, c->id, body, wr_len(&w));
	timer_set(&c->timer, p->c->restart_ms);
}

static void
send_success(struct ppp *p)
{
	char message[MESSAGE_MAX];
	int len = snprintf(message, sizeof(message), "%s M=Access granted", p->chap.auth_response);

	send_packet(p, SUCCESS, p->chap.id, message, (size_t)len);
}

/* RFC 2759 §6: no retry, a fresh challenge nevertheless. */
static void
send_failure(struct ppp *p)
{
	char message[MESSAGE_MAX], *at = message;
	uint8_t challenge[MSCHAP_CHALLENGE_LEN];

	arc4random_buf(challenge, sizeof(challenge));
	at += sprintf(at, "E=691 R=0 C=");
	for (size_t i = 0; i < sizeof(challenge); i++)
		at += sprintf(at, "%02X", challenge[i]);
	at += sprintf(at, " V=3 M=Access denied");
	send_packet(p, FAILURE, p->chap.id, message, (size_t)(at - message));
}

static const char *
without_domain(const char *name)
{
	const char *slash = strrchr(name, '\\');

	return slash != NULL ? slash + 1 : name;
}

static void
start_keys(struct ppp *p, const uint8_t nt_hash[static 16])
{
	uint8_t send_key[16], recv_key[16];

	mschap_mppe_keys(nt_hash, p->chap.nt_response, p->c->is_server, send_key, recv_key);
	p->ops->keys(p->arg, send_key, recv_key);
	explicit_bzero(send_key, sizeof(send_key));
	explicit_bzero(recv_key, sizeof(recv_key));
}

/* Server: the response is stored, the peer's name too. */
static void
decide(struct ppp *p)
{
	struct chap *c = &p->chap;
	uint8_t nt_hash[16] = {0};
	struct ppp_verify v = {
	    .name = p->peer_name,
	    .hash_name = without_domain(p->peer_name),
	    .auth_challenge = c->auth_challenge,
	    .peer_challenge = c->peer_challenge,
	    .nt_response = c->nt_response,
	};

	timer_cancel(&c->timer);
	if (p->ops->verify(p->arg, &v, nt_hash)) {
		c->state = CHAP_DONE;
		mschap_auth_response(nt_hash, c->nt_response, c->peer_challenge, c->auth_challenge,
		    v.hash_name, c->auth_response);
		start_keys(p, nt_hash);
		send_success(p);
		link_authenticated(p);
	} else {
		c->state = CHAP_FAILED;
		send_failure(p);
		link_fail(p, PPP_CAUSE_AUTH_FAILED, "authentication failed");
	}
	explicit_bzero(nt_hash, sizeof(nt_hash));
}

/* Server. The flags are read by nobody: Windows 98 sets one that RFC 2759 reserves. */
static bool
on_response(struct ppp *p, const struct packet *pk)
{
	struct chap *c = &p->chap;
	struct rd body = pk->body;
	uint8_t peer_challenge[MSCHAP_CHALLENGE_LEN], nt_response[MSCHAP_NT_RESPONSE_LEN];
	uint8_t value_len = rd_u8(&body);
	const uint8_t *name;
	size_t name_len;
	char *copy;

	rd_copy(&body, peer_challenge, sizeof(peer_challenge));
	rd_skip(&body, 8);
	rd_copy(&body, nt_response, sizeof(nt_response));
	rd_skip(&body, 1);
	name_len = rd_left(&body);
	name = rd_bytes(&body, name_len);
	if (!rd_ok(&body) || value_len != RESPONSE_VALUE_LEN || name_len > CHAP_MAX_NAME ||
	    memchr(name, '\0', name_len) != NULL)
		return false;
	if (pk->id != c->id)
		return true;
	if (c->state == CHAP_DONE && c->auth_response[0] != '\0' && /* a restored link has none */
	    mschap_equal(peer_challenge, c->peer_challenge, sizeof(peer_challenge)) &&
	    mschap_equal(nt_response, c->nt_response, sizeof(nt_response)))
		send_success(p); /* it was lost */
	if (c->state != CHAP_CHALLENGED)
		return true;
	copy = strndup((const char *)name, name_len);
	if (copy == NULL) {
		link_fail(p, PPP_CAUSE_AUTH_FAILED, "out of memory");
		return true;
	}
	free(p->peer_name);
	p->peer_name = copy;
	memcpy(c->peer_challenge, peer_challenge, sizeof(peer_challenge));
	memcpy(c->nt_response, nt_response, sizeof(nt_response));
	decide(p);
	return true;
}

/* Client: the response to the stored challenge, and what the server must prove in turn. */
static bool
compute_response(struct ppp *p)
{
	struct chap *c = &p->chap;
	const char *user = without_domain(p->c->name);
	uint8_t nt_hash[16];

	if (mschap_nt_hash(p->c->password, nt_hash) != 0)
		return false;
	arc4random_buf(c->peer_challenge, sizeof(c->peer_challenge));
	mschap_nt_response(c->auth_challenge, c->peer_challenge, user, nt_hash, c->nt_response);
	mschap_auth_response(
	    nt_hash, c->nt_response, c->peer_challenge, c->auth_challenge, user, c->auth_response);
	explicit_bzero(nt_hash, sizeof(nt_hash));
	return true;
}

/*
 * Client. The same challenge gets the same response. A new one after authentication is answered
 * too, and leaves the keys alone, as pppd does.
 */
static bool
on_challenge(struct ppp *p, const struct packet *pk)
{
	struct chap *c = &p->chap;
	struct rd body = pk->body;
	uint8_t challenge[MSCHAP_CHALLENGE_LEN], value_len = rd_u8(&body);

	rd_copy(&body, challenge, sizeof(challenge));
	if (!rd_ok(&body) || value_len != sizeof(challenge))
		return false;
	if (c->state == CHAP_WAITING || pk->id != c->id ||
	    !mschap_equal(challenge, c->auth_challenge, sizeof(challenge))) {
		c->id = pk->id;
		memcpy(c->auth_challenge, challenge, sizeof(challenge));
		if (!compute_response(p)) {
			link_fail(p, PPP_CAUSE_AUTH_FAILED, "password is not UTF-8 or too long");
			return true;
		}
		c->state = CHAP_RESPONDED;
	}
	send_valued(p, RESPONSE);
	if (c->state != CHAP_RESPONDED)
		timer_cancel(&c->timer);
	return true;
}

static void
on_success(struct ppp *p, const struct packet *pk)
{
	struct chap *c = &p->chap;
	uint8_t said[MSCHAP_AUTH_RESPONSE_LEN];
	uint8_t nt_hash[16];
	struct rd body = pk->body;

	timer_cancel(&c->timer);
	rd_copy(&body, said, sizeof(said));
	for (size_t i = 0; i < sizeof(said); i++)
		said[i] = (uint8_t)toupper(said[i]);
	if (!mschap_equal(said, c->auth_response, sizeof(said))) {
		c->state = CHAP_FAILED;
		link_fail(p, PPP_CAUSE_SERVER_FALSE, "server does not know the password");
		return;
	}
	c->state = CHAP_DONE;
	if (p->authenticated || mschap_nt_hash(p->c->password, nt_hash) != 0)
		return;
	start_keys(p, nt_hash);
	explicit_bzero(nt_hash, sizeof(nt_hash));
	link_authenticated(p);
}

static void
on_failure(struct ppp *p, const struct packet *pk)
{
	timer_cancel(&p->chap.timer);
	p->chap.state = CHAP_FAILED;
	link_fail(p, PPP_CAUSE_AUTH_FAILED, "server refuses: %s",
	    log_quote((const char *)pk->body.p, rd_left(&pk->body)));
}

static bool
dispatch(struct ppp *p, const struct packet *pk)
{
	struct chap *c = &p->chap;

	if (c->state == CHAP_IDLE || c->state == CHAP_FAILED)
		return true;
	if (p->c->is_server)
		return pk->code == RESPONSE ? on_response(p, pk) : true;
	if (pk->code == CHALLENGE)
		return on_challenge(p, pk);
	if (c->state == CHAP_RESPONDED && pk->id == c->id && pk->code == SUCCESS)
		on_success(p, pk);
	else if (c->state == CHAP_RESPONDED && pk->id == c->id && pk->code == FAILURE)
		on_failure(p, pk);
	return true;
}

void
chap_input(struct ppp *p, const uint8_t *bytes, size_t len)
{
	struct rd r = rd_init(bytes, len);
	struct packet pk;
	uint16_t length;

	pk.code = rd_u8(&r);
	pk.id = rd_u8(&r);
	length = rd_u16(&r);
	if (length < 4)
		rd_fail(&r);
	pk.body = rd_sub(&r, rd_ok(&r) ? (size_t)length - 4 : 0);
	if (!rd_ok(&r) || !dispatch(p, &pk))
		p->counters.malformed++;
}

void
chap_repeat_success(struct ppp *p)
{
	if (p->c->is_server && p->chap.state == CHAP_DONE)
		send_success(p);
}

void
chap_restore(struct ppp *p, uint8_t next_id)
{
	p->chap.state = CHAP_DONE;
	p->chap.next_id = next_id;
	p->chap.id = (uint8_t)(next_id - 1);
}

static void
timer_cb(void *arg)
{
	struct ppp *p = arg;

	link_enter(p);
	send_valued(p, p->c->is_server ? CHALLENGE : RESPONSE);
	link_leave(p);
}

void
chap_start(struct ppp *p)
{
	struct chap *c = &p->chap;

	if (!p->c->is_server) {
		c->state = CHAP_WAITING;
		return;
	}
	c->state = CHAP_CHALLENGED;
	c->id = c->next_id++;
	arc4random_buf(c->auth_challenge, sizeof(c->auth_challenge));
	send_valued(p, CHALLENGE);
}

void
chap_stop(struct ppp *p)
{
	timer_cancel(&p->chap.timer);
	p->chap.state = CHAP_IDLE;
}

void
chap_init(struct ppp *p)
{
	p->chap.next_id = 1;
	timer_init(&p->chap.timer, p->loop, timer_cb, p);
}
