/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tables of metrics: see web_metrics.h. A row says where a number stands in what is known; what
 * is a list or has labels that depend on what is there is written by a function of its own.
 */
#include "hagent/web_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/web_metrics_text.h"

#define COUNTER "counter"
#define GAUGE   "gauge"

/* One number. scale: what a unit of the source is in the metric's. */
static const struct number_row {
	const char *name, *type, *path;
	double scale;
	const char *help;
} numbers[] = {
    {"pptp_ha_agent_uptime_seconds", GAUGE, "status.uptime_ms", 1e-3,
	"Since the agent of this gateway began."},
    {"pptp_ha_epoch", GAUGE, "status.epoch", 1, "Epoch: it rises at every promotion."},
    {"pptp_ha_transition_running", GAUGE, "status.transition_running", 1,
	"A change of role is under way."},
    {"pptp_ha_recent_automatic_moves", GAUGE, "status.moves", 1,
	"Moves that the pair made by itself in the last 10 minutes, as this gateway knows them."},
    {"pptp_ha_peer_heard", GAUGE, "status.peer.fresh", 1, "The other gateway is heard."},
    {"pptp_ha_peer_silence_seconds", GAUGE, "status.peer.heard_ms_ago", 1e-3,
	"Since the other gateway was heard on any path."},
    {"pptp_ha_peer_in_step", GAUGE, "status.peer.in_step", 1,
	"The other gateway says that its copy of the sessions is current."},
    {"pptp_ha_peer_epoch", GAUGE, "status.peer.epoch", 1, "Epoch of the other gateway."},
    {"pptp_ha_file_sync_ok", GAUGE, "status.files.ok", 1,
	"The last transfer of the pair's files was good."},
    {"pptp_ha_sessions", GAUGE, "pptpd.sessions", 1, "Sessions that this gateway serves."},
    {"pptp_ha_control_connections", GAUGE, "pptpd.control_connections", 1,
	"Control connections of clients."},
    {"pptp_ha_control_connections_half_open", GAUGE, "pptpd.half_open", 1,
	"Control connections that have not said what they want yet."},
    {"pptp_ha_address_pool_used", GAUGE, "pptpd.pool.used", 1, "Tunnel addresses in use."},
    {"pptp_ha_address_pool_size", GAUGE, "pptpd.pool.size", 1, "Tunnel addresses there are."},
    {"pptp_ha_pptpd_uptime_seconds", GAUGE, "pptpd.uptime_ms", 1e-3,
	"Since the daemon's engine began."},
    {"pptp_ha_control_connections_accepted_total", COUNTER, "pptpd.totals.accepted", 1,
	"Control connections that were accepted."},
    {"pptp_ha_control_connections_refused_total", COUNTER, "pptpd.totals.refused", 1,
	"Control connections that were refused: too many."},
    {"pptp_ha_calls_total", COUNTER, "pptpd.totals.sessions_started", 1,
	"Calls that clients began."},
    {"pptp_ha_session_setups_total", COUNTER, "pptpd.totals.sessions_up", 1,
	"Calls that got as far as an address."},
    {"pptp_ha_sessions_continued_total", COUNTER, "pptpd.totals.sessions_continued", 1,
	"Sessions that were taken over from the other gateway."},
    {"pptp_ha_sessions_rekeyed_total", COUNTER, "pptpd.totals.rekeyed", 1,
	"Sessions taken over that got new keys because none was left that only they could use."},
    {"pptp_ha_sessions_rekey_dropped_total", COUNTER, "pptpd.totals.rekey_dropped", 1,
	"Of these, sessions that had to end."},
    {"pptp_ha_control_malformed_total", COUNTER, "pptpd.totals.control_malformed", 1,
	"Control messages that were malformed."},
    {"pptp_ha_control_ignored_total", COUNTER, "pptpd.totals.control_ignored", 1,
	"Control messages that meant nothing where they came."},
    {"pptp_ha_control_holes_total", COUNTER, "pptpd.totals.holes", 1,
	"Control connections taken over with bytes that nobody had replicated."},
    {"pptp_ha_control_holes_repaired_total", COUNTER, "pptpd.totals.holes_repaired", 1,
	"Of these, those that were repaired."},
    {"pptp_ha_tunnel_receive_bytes_total", COUNTER, "pptpd.data.rx_octets", 1,
	"IP octets from clients, through this gateway."},
    {"pptp_ha_tunnel_transmit_bytes_total", COUNTER, "pptpd.data.tx_octets", 1,
	"IP octets to clients, through this gateway."},
    {"pptp_ha_tunnel_receive_packets_total", COUNTER, "pptpd.data.rx_packets", 1,
	"IP packets from clients."},
    {"pptp_ha_tunnel_transmit_packets_total", COUNTER, "pptpd.data.tx_packets", 1,
	"IP packets to clients."},
    {"pptp_ha_gre_reordered_packets_total", COUNTER, "pptpd.data.rx_reordered", 1,
	"GRE packets that came out of order and were put in order."},
    {"pptp_ha_gre_acks_alone_total", COUNTER, "pptpd.data.acks_alone", 1,
	"GRE packets that carried an acknowledgement only."},
    {"pptp_ha_fragmentation_needed_total", COUNTER, "pptpd.data.icmp_frag_needed", 1,
	"ICMP messages 'fragmentation needed' that were sent."},
    {"pptp_ha_fragmented_packets_total", COUNTER, "pptpd.data.fragmented", 1,
	"Packets to clients that were fragmented."},
    {"pptp_ha_mss_clamped_total", COUNTER, "pptpd.data.mss_clamped", 1,
	"TCP segments whose MSS was lowered."},
    {"pptp_ha_mppe_resets_total", COUNTER, "pptpd.link.resets_answered", 1,
	"CCP Reset-Requests of clients that lost step with MPPE."},
    {"pptp_ha_ppp_malformed_total", COUNTER, "pptpd.link.malformed", 1,
	"PPP frames that were malformed."},
    {"pptp_ha_ppp_rejects_total", COUNTER, "pptpd.link.rejects_sent", 1,
	"PPP rejects that were sent."},
    {"pptp_ha_client_stalls_total", COUNTER, "pptpd.data.stalls", 1,
	"Times that a client acknowledged nothing for too long."},
    {"pptp_ha_reservation_held_packets_total", COUNTER, "pptpd.data.held", 1,
	"Packets to clients that waited for the standby to acknowledge a mark."},
    {"pptp_ha_reservation_requests_total", COUNTER, "pptpd.replica.marks_asked", 1,
	"Marks that the standby was asked for."},
    {"pptp_ha_reservation_stalls_total", COUNTER, "pptpd.replica.shorts", 1,
	"Times that a session had used up its reservation before the next one came."},
    {"pptp_ha_takeover_relayed_packets_total", COUNTER, "pptpd.data.relayed", 1,
	"Packets that came late and were handed on to the gateway that took over."},
    {"pptp_ha_replica_connected", GAUGE, "pptpd.replica.connected", 1,
	"The stream of sessions between the gateways is there."},
    {"pptp_ha_replica_in_step", GAUGE, "pptpd.replica.in_step", 1,
	"The standby's copy is current."},
    {"pptp_ha_replica_stale", GAUGE, "pptpd.replica.stale", 1,
	"This standby's copy is out of date, and says so."},
    {"pptp_ha_replica_sessions", GAUGE, "pptpd.replica.sessions", 1,
	"Sessions in the replica: on the active its own, on the standby the copy."},
    {"pptp_ha_replica_sessions_at_risk", GAUGE, "pptpd.replica.at_risk", 1,
	"Sessions of the active that no standby could continue now."},
    {"pptp_ha_replica_lag_seconds", GAUGE, "pptpd.replica.lag_ms", 1e-3,
	"How long the oldest change has waited for the standby's acknowledgement."},
    {"pptp_ha_replica_sent_bytes_total", COUNTER, "pptpd.replica.bytes_sent", 1,
	"Octets of the stream that were sent."},
    {"pptp_ha_replica_received_bytes_total", COUNTER, "pptpd.replica.bytes_received", 1,
	"Octets of the stream that were received."},
    {"pptp_ha_replica_streams_total", COUNTER, "pptpd.replica.streams", 1,
	"Streams that were begun."},
    {"pptp_ha_replica_commits_total", COUNTER, "pptpd.replica.commits", 1,
	"Words to clients that waited for the standby's acknowledgement."},
    {"pptp_ha_conntrack_entries", GAUGE, "web.conntrack_count", 1,
	"Connections in the kernel's table."},
    {"pptp_ha_conntrack_entries_limit", GAUGE, "web.conntrack_max", 1,
	"How many the kernel's table may hold."},
    {"pptp_ha_conntrack_local_entries", GAUGE, "agent.conntrackd.internal", 1,
	"Connections of this gateway that conntrackd tells the other one of."},
    {"pptp_ha_conntrack_replicated_entries", GAUGE, "agent.conntrackd.external", 1,
	"Connections of the other gateway that conntrackd keeps here."},
    {"pptp_ha_conntrack_failed_total", COUNTER, "agent.conntrackd.internal_failed", 1,
	"Connections that found no room in conntrackd."},
    {"pptp_ha_conntrack_lost_messages_total", COUNTER, "agent.conntrackd.lost", 1,
	"Messages between the two conntrackds that were lost."},
    {"pptp_ha_journal_lost_lines_total", COUNTER, "agent.journal_lost", 1,
	"Lines of the journal that could not be written."},
    {"pptp_ha_deep_check_ok", GAUGE, "status.deep.ok", 1,
	"The probe session through this gateway's own data plane works."},
    {"pptp_ha_deep_check_round_trip_seconds", GAUGE, "status.deep.rtt_ms", 1e-3,
	"Round trip of the last ping through it."},
    {"pptp_ha_deep_check_failures_total", COUNTER, "status.deep.failures", 1,
	"Times that it failed."},
    {"pptp_ha_web_connections", GAUGE, "web.open", 1, "Connections to this server."},
    {"pptp_ha_web_connections_total", COUNTER, "web.accepted", 1,
	"Connections that this server accepted."},
    {"pptp_ha_web_connections_cut_total", COUNTER, "web.cut", 1, "Connections that took too long."},
    {"pptp_ha_web_connections_shed_total", COUNTER, "web.shed", 1,
	"Connections that gave up their places to newer ones."},
    {"process_cpu_seconds_total", COUNTER, "web.cpu_ms", 1e-3,
	"Processor time of this server, user and system."},
    {"process_resident_memory_bytes", GAUGE, "web.rss_bytes", 1, "Memory of this server."},
    {"process_open_fds", GAUGE, "web.open_fds", 1, "Descriptors that this server has open."},
    {"process_max_fds", GAUGE, "web.max_fds", 1, "Descriptors that it may have open."},
    {"process_start_time_seconds", GAUGE, "web.started_ms", 1e-3, "When it began, since 1970."},
};

/* An object of numbers: its keys become a label. */
static const struct map_row {
	const char *name, *type, *path, *label, *help;
} maps[] = {
    {"pptp_ha_session_failures_total", COUNTER, "pptpd.totals.failed", "reason",
	"Calls that ended before they had an address."},
    {"pptp_ha_sessions_ended_total", COUNTER, "pptpd.totals.ended", "reason",
	"Calls that ended, with an address or without."},
    {"pptp_ha_dropped_packets_total", COUNTER, "pptpd.data.drops", "cause",
	"Packets that were dropped."},
    {"pptp_ha_web_requests_total", COUNTER, "web.requests", "code",
	"Requests that this server answered."},
};

/* A word that is one of a few: 1 for the one that it is. */
static const struct state_row {
	const char *name, *path, *label, *help;
	const char *states[9];
} states[] = {
    {"pptp_ha_role", "status.role", "role", "What this gateway is in the pair.",
	{"unknown", "standby", "promoting", "active", "demoting"}},
    {"pptp_ha_health", "status.health", "fault", "The worst of what is wrong here.",
	{"fine", "note", "soft", "hard"}},
    {"pptp_ha_safety", "safety.level", "level",
	"Whether a failure now would end sessions, as this gateway knows.",
	{"safe", "at-risk", "down"}},
    {"pptp_ha_peer_role", "status.peer.role", "role", "What the other gateway says it is.",
	{"unknown", "standby", "promoting", "active", "demoting"}},
    {"pptp_ha_replica_state", "status.replica.state", "state", "State of the replica.",
	{"standby", "alone", "syncing", "in-sync", "cut", "solo", "silent"}},
    {"pptp_ha_conntrackd_state", "status.conntrackd", "state", "conntrackd.",
	{"not running", "running", "died"}},
    {"pptp_ha_keepalived_state", "status.keepalived", "state", "keepalived.",
	{"not running", "running", "died"}},
    {"pptp_ha_sshd_state", "status.sshd", "state", "The pair's sshd.",
	{"not running", "running", "died"}},
};

static void
put_numbers(FILE *f, const json_t *all)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct number_row *r = &numbers[i];
		double value;

		if (!metrics_number(metrics_at(all, r->path), &value))
			continue;
		metrics_family(f, r->name, r->type, r->help);
		metrics_sample(f, r->name, NULL, value * r->scale);
	}
}

static void
put_maps(FILE *f, const json_t *all)
{
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		const struct map_row *r = &maps[i];
		json_t *map = metrics_at(all, r->path), *value;
		const char *key;
		double number;

		if (json_object_size(map) == 0)
			continue;
		metrics_family(f, r->name, r->type, r->help);
		json_object_foreach(map, key, value)
		{
			if (metrics_number(value, &number))
				metrics_sample(f, r->name,
				    (const struct metrics_label[]){{r->label, key}, {0}}, number);
		}
	}
}

static void
put_states(FILE *f, const json_t *all)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		const struct state_row *r = &states[i];
		const char *is = json_string_value(metrics_at(all, r->path));

		if (!is)
			continue;
		metrics_family(f, r->name, GAUGE, r->help);
		for (int k = 0; r->states[k]; k++)
			metrics_sample(f, r->name,
			    (const struct metrics_label[]){{r->label, r->states[k]}, {0}},
			    strcmp(is, r->states[k]) == 0);
	}
}

char *
web_metrics_text(const json_t *all)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	metrics_special(f, all);
	put_states(f, all);
	put_numbers(f, all);
	put_maps(f, all);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}
