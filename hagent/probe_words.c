/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sentences.
 */
#include "hagent/probe_words.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define NAT_ADVICE                                                                                 \
	"allow IP protocol 47 (GRE) in both directions on every firewall between the two; behind " \
	"NAT the router needs its PPTP helper (PPTP passthrough)"

static const struct {
	const char *why, *text, *advice;
} rows[] = {
    {"ok", "The session came up and works.", ""},
    {"machine", "This machine could not do it: {detail}.",
	"look at this machine first: nothing was learnt about the server"},
    {"privilege", "A raw socket for GRE was refused: {detail}.",
	"run it as root, or give it CAP_NET_RAW"},
    {"no-route", "This machine has no route to {server}.",
	"ip route get {server}: set the default gateway, or the missing route"},
    {"unreachable", "{server} cannot be reached: {detail}{from}.",
	"check that the virtual address is on a gateway (hagent status there), then the route and "
	"the cable towards it"},
    {"prohibited", "A firewall forbids TCP port {port} of {server}{from}.",
	"allow TCP port {port} to {server} there; on the gateway: client-networks in "
	"cluster.conf"},
    {"refused", "{server} is there, but nothing listens on TCP port {port}{from}.",
	"start pptpd there and see that it serves: hagent status"},
    {"timeout", "There is no answer on TCP port {port} of {server}.",
	"a firewall drops it, this address is not in client-networks, or no gateway holds "
	"{server}: hagent status there, then tcpdump port {port} on the gateway"},
    {"silent", "{server} took the connection and then said nothing (step {step}).",
	"the program on port {port} hangs: look at its log and restart it"},
    {"closed", "{server} closed the control connection in step {step}.",
	"its log says why; often a limit of connections is reached or this address is not "
	"wanted"},
    {"reset", "{server} reset the control connection in step {step}.",
	"its log says why; if it has none, the program there has crashed"},
    {"not-pptp", "What answers on TCP port {port} of {server} is no PPTP server: \"{detail}\".",
	"check the address and port; another program listens there, or a port is forwarded to the "
	"wrong host"},
    {"start-refused", "{server} refuses the control connection: {detail}.",
	"its log says why; result 3 means too many connections, 4 that this client may not "
	"connect"},
    {"call-refused", "{server} refuses the call: {detail}.",
	"its log says why; often its limit of sessions or its address pool is exhausted"},
    {"call-cleared", "{server} ended the call in step {step}: {detail}.",
	"its log says why it hung up"},
    {"no-link", "{server} took the call and hung up at once, before a single GRE packet.",
	"its PPP program did not start: its log says why (an unknown option, a missing secrets "
	"file; on poptop also /dev/ppp and the module ppp_mppe)"},
    {"gre-filtered",
	"The control connection works, but not one GRE packet came from {server} in {seconds} s.",
	NAT_ADVICE},
    {"gre-one-way",
	"GRE packets come from {server}, but ours do not arrive there: it never reacts to one.",
	"allow IP protocol 47 (GRE) from here to {server}; the way back is open"},
    {"gre-refused", "GRE to {server} is refused: {detail}{from}.",
	"allow IP protocol 47 (GRE) there; \"protocol unreachable\" from the server itself means "
	"that no PPTP daemon has its GRE socket open"},
    {"gre-wrong-call", "GRE packets come from {server}, but none bears the number of this call.",
	"a NAT router between the two rewrites call numbers wrongly: switch its PPTP helper on "
	"(or off), and see that only one client at a time stands behind a router without one"},
    {"gre-elsewhere", "GRE of this call comes from {detail} instead of {server}.",
	"the server has several addresses and answers with the wrong one: give its daemon the one "
	"that clients dial (listen in pptpd.conf), or route by source there"},
    {"looped", "Our own packets came back to us.",
	"a bridge or a router between here and {server} sends GRE back: look for a loop"},
    {"lcp", "GRE passes in both directions, but {server} and we agree on no link: {detail}.",
	"look at the server's log for LCP; a server that stalls here usually cannot start its PPP "
	"program"},
    {"auth-method", "{server} wants another authentication than MS-CHAPv2: {detail}.",
	"set require-mschap-v2 in the server's options.pptpd; nothing weaker gives keys for "
	"MPPE-128"},
    {"auth-none", "{server} asks for no authentication at all.",
	"set auth and require-mschap-v2 in the server's options.pptpd; without it there are no "
	"keys for MPPE"},
    {"password", "{server} refuses the name or the password of \"{user}\".",
	"compare name, password and server name with chap-secrets on the gateway; the name may "
	"need its DOMAIN\\ in front"},
    {"account", "{server} knows \"{user}\" but lets it not in: {detail}.",
	"error 646: not at this hour; 647: disabled; 648: password expired; 649: no right to dial "
	"in. Mend it in the directory (RADIUS) behind the server"},
    {"auth-silent", "{server} leaves the authentication of \"{user}\" unanswered.",
	"the server waits for something: usually its RADIUS server or directory does not answer"},
    {"server-false",
	"{server} accepted the password without knowing it: its proof (authenticator) is wrong.",
	"do not use it: it is another server than it claims to be, or somebody in between. If it "
	"is "
	"yours, its stored password differs from the user's: set it anew"},
    {"mppe-refused", "{server} refuses MPPE, the encryption.",
	"set require-mppe-128 in the server's options.pptpd; on poptop: modprobe ppp_mppe"},
    {"mppe-weak", "{server} offers MPPE, but not with 128 bits and stateless: {detail} only.",
	"set require-mppe-128 and nomppe-stateful in the server's options.pptpd"},
    {"mppe-silent", "{server} does not answer about encryption (CCP).",
	"look at the server's log; on poptop: modprobe ppp_mppe"},
    {"no-address", "{server} has no address for this session.",
	"its pool (remoteip) is exhausted or empty: look at hagent sessions, then at pptpd.conf"},
    {"ipcp", "{server} and we agree on no IP address: {detail}.",
	"look at localip and remoteip in the server's pptpd.conf"},
    {"terminated", "{server} ended the session in step {step}: {detail}.",
	"its log says why it hung up"},
    {"echo", "{server} has gone silent: {detail}.",
	"hagent status on the gateways: was there a failover that did not continue this session?"},
    {"local", "The probe was ended from here.", ""},
    {"ping-silent", "The session is up, but nothing answers a ping through it (asked {target}).",
	"check ip_forward and the firewall's rules for the tunnel on the gateway; a server's own "
	"end that may not be pinged: name another target with --ping"},
    {"no-route-behind",
	"The tunnel works ({server}'s end answers), but {target} behind it does not.",
	"check that {target} is up and that its way back leads here: ip route get CLIENT there, or "
	"tunnel-to-lan = yes in cluster.conf"},
    {"decrypt", "The session is up, but what {server} sends cannot be decrypted.",
	"its keys differ from ours: restart the session; if it happens after a failover, report "
	"it with hagent journal"},
    {"clear", "The session is up, but {server} sends packets that are not encrypted.",
	"do not use it before require-mppe-128 works there"},
    {"mtu",
	"Small packets pass, packets of {mtu} bytes do not; the largest that passed had "
	"{works_mtu} "
	"bytes.",
	"a link on the way carries less than the tunnel assumes: set mtu and mru {works_mtu} in "
	"options.pptpd, and let ICMP \"fragmentation needed\" through"},
    {"target", "The tunnel works, but a server behind it cannot be used: {detail}.",
	"silent: firewall or no way back from the server; refused: the program there does not "
	"listen; prohibited: a firewall says no. hagent firewall status on the gateway shows what "
	"is let through"},
    {"no-namespace",
	"This machine allows no private network namespace with a TUN interface: {detail}. The page "
	"was not tried; everything before it works.",
	"run it as root with /dev/net/tun there, or leave --http away"},
    {"no-curl", "The page was not tried: there is no curl here. Everything before it works.",
	"apt-get install curl"},
    {"http-connect", "The tunnel works, but {target} takes no connection: {detail}.",
	"check that the web server is up, its port open in the api sections of cluster.conf, and "
	"its way back"},
    {"http-tls", "{target} answers, but its TLS is not in order: {detail}.",
	"renew the certificate, or name its authority with --ca FILE"},
    {"http-status", "{target} answers with an error: {detail}.",
	"the tunnel is in order; look at the web server's log"},
    {"http", "The page {target} did not come: {detail}.",
	"small packets pass: suspect the MTU, then the web server's log"},
    {"lost", "The session was up and was lost after {seconds} s: {detail}.",
	"hagent journal on the gateways: was there a failover, and why was the session not "
	"continued?"},
};

const char *
probe_address(uint32_t address, char out[static 16])
{
	snprintf(out, 16, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
	    address & 255);
	return out;
}

const char *
probe_result_name(const char *why, unsigned result)
{
	static const char *const start[] = {[2] = "general error",
	    [3] = "there is a connection already, or too many",
	    [4] = "this client may not connect",
	    [5] = "another protocol version"};
	static const char *const call[] = {[2] = "general error",
	    [3] = "no carrier",
	    [4] = "busy",
	    [5] = "no dial tone",
	    [6] = "time-out",
	    [7] = "forbidden"};

	if (strcmp(why, "start-refused") == 0 && result >= 2 && result <= 5)
		return start[result];
	if (strcmp(why, "call-refused") == 0 && result >= 2 && result <= 7)
		return call[result];
	return "";
}

/* The value of a name in braces, of len characters. */
static const char *
value_of(const char *name, size_t len, const struct probe_facts *f, char number[static 16])
{
	const struct {
		const char *name, *text;
		unsigned number;
	} values[] = {
	    {"server", f->server, 0},
	    {"detail", f->detail, 0},
	    {"user", f->user, 0},
	    {"from", f->from, 0},
	    {"target", f->target, 0},
	    {"step", f->step, 0},
	    {"port", number, f->port},
	    {"seconds", number, f->seconds},
	    {"mtu", number, f->mtu},
	    {"works_mtu", number, f->works_mtu},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (strlen(values[i].name) != len || strncmp(values[i].name, name, len) != 0)
			continue;
		if (values[i].text == number)
			snprintf(number, 16, "%u", values[i].number);
		return values[i].text != NULL ? values[i].text : "";
	}
	return "?";
}

static void
fill_in(char out[static PROBE_TEXT_MAX], const char *text, const struct probe_facts *f)
{
	char number[16];
	size_t n = 0;

	while (*text != '\0' && n < PROBE_TEXT_MAX - 1) {
		const char *close = *text == '{' ? strchr(text, '}') : NULL;
		const char *value;

		if (close == NULL) {
			out[n++] = *text++;
			continue;
		}
		value = value_of(text + 1, (size_t)(close - text - 1), f, number);
		while (*value != '\0' && n < PROBE_TEXT_MAX - 1)
			out[n++] = *value++;
		text = close + 1;
	}
	out[n] = '\0';
}

void
probe_words(const char *why, const struct probe_facts *f, char text[static PROBE_TEXT_MAX],
    char advice[static PROBE_TEXT_MAX])
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].why, why) == 0) {
			fill_in(text, rows[i].text, f);
			fill_in(advice, rows[i].advice, f);
			return;
		}
	}
	snprintf(text, PROBE_TEXT_MAX, "%s", why);
	advice[0] = '\0';
}
