/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The judgement. A dead conntrackd or pair sshd and a lost sync cable are notes, not soft faults: a
 * move would lose just what conntrackd did not replicate, and the others are not needed to serve.
 */
#include "hagent/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILES_MIN      256
#define MEMORY_MIN_KIB (48 * 1024)
#define DISK_MIN_KIB   (16 * 1024)
#define N_FAULTS       4

static const char *const fault_names[N_FAULTS] = {"fine", "note", "soft", "hard"};

const char *
health_fault_name(enum health_fault f)
{
	return fault_names[f];
}

enum health_fault
health_fault_of(const char *name)
{
	for (int i = 0; name && i < N_FAULTS; i++) {
		if (strcmp(name, fault_names[i]) == 0)
			return (enum health_fault)i;
	}
	return HEALTH_HARD;
}

static void __attribute__((format(printf, 5, 6))) problem(struct health *h, enum health_fault fault,
    const char *code, const char *advice, const char *fmt, ...)
{
	struct health_problem *p = &h->problems[h->n];
	bool is_link = strcmp(code, "wan-down") == 0 || strcmp(code, "lan-down") == 0;
	va_list ap;

	if (h->n == HEALTH_PROBLEMS)
		return;
	h->n++;
	if (fault == HEALTH_HARD)
		h->links_only = h->fault == HEALTH_HARD ? h->links_only && is_link : is_link;
	*p = (struct health_problem){.fault = fault, .code = code, .advice = advice};
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	if (fault > h->fault)
		h->fault = fault;
}

static void
judge_daemon(const struct health_facts *f, unsigned failures, struct health *h)
{
	if (f->pptpd_failures >= failures) {
		problem(h, HEALTH_HARD, "pptpd-silent",
		    "see whether it runs and what its log says; if it hangs, restart it",
		    "pptpd does not answer: %s", f->pptpd_error ? f->pptpd_error : "unknown");
		return; /* the rest follows from it */
	}
	if (f->tun == 0)
		problem(h, HEALTH_HARD, "no-tun", "restart pptpd", "pptpd's tunnel device is gone");
	if (f->gre == 0)
		problem(h, HEALTH_HARD, "no-gre", "restart pptpd", "pptpd has no GRE socket open");
	if (f->deep != NULL && f->deep_dead)
		problem(h, HEALTH_SOFT, "deep-check",
		    "restart pptpd, after the sessions have moved; see its log", "%s", f->deep);
	else if (f->deep != NULL)
		problem(h, HEALTH_NOTE, "deep-check-unsure",
		    "look at the load of this gateway, and at the logs of agent and pptpd", "%s",
		    f->deep);
	if (f->pptpd_files_free >= 0 && f->pptpd_files_free < FILES_MIN)
		problem(h, HEALTH_SOFT, "pptpd-files",
		    "raise limits { sessions } in cluster.conf, render, restart pptpd",
		    "pptpd has only %lld descriptors to spare", (long long)f->pptpd_files_free);
}

static void
judge_links(const struct health_facts *f, struct health *h)
{
	if (!f->wan)
		problem(h, HEALTH_HARD, "wan-down", "look at its cable and switch port",
		    "the WAN interface %s is down or has no carrier", f->wan_if);
	if (!f->lan)
		problem(h, HEALTH_HARD, "lan-down", "look at its cable and switch port",
		    "the LAN interface %s is down or has no carrier", f->lan_if);
	if (f->lan_address_gone)
		problem(h, HEALTH_HARD, "lan-address",
		    "restart keepalived, and find out who did it",
		    "the virtual LAN address was taken from %s", f->lan_if);
	if (!f->sync)
		problem(h, HEALTH_NOTE, "sync-down", "look at its cable and switch port",
		    "the sync interface %s is down or has no carrier", f->sync_if);
}

static void
judge_system(const struct health_facts *f, struct health *h)
{
	if (f->ip_forward == 0)
		problem(h, HEALTH_SOFT, "ip-forward", "sysctl -p the rendered sysctl.conf",
		    "the kernel does not forward: net.ipv4.ip_forward is 0");
	if (f->files_free >= 0 && f->files_free < FILES_MIN)
		problem(h, HEALTH_SOFT, "files", "raise fs.file-max, or find who holds them",
		    "the system has only %lld descriptors to spare", (long long)f->files_free);
	if (f->memory_free_kib >= 0 && f->memory_free_kib < MEMORY_MIN_KIB)
		problem(h, HEALTH_SOFT, "memory", "find who takes it",
		    "only %lld MiB of memory are left", (long long)f->memory_free_kib / 1024);
	if (f->disk_free_kib >= 0 && f->disk_free_kib < DISK_MIN_KIB)
		problem(h, HEALTH_SOFT, "disk", "make room in the state folder's file system",
		    "only %lld MiB are left for the state folder",
		    (long long)f->disk_free_kib / 1024);
	if (f->journal_failing)
		problem(h, HEALTH_NOTE, "journal", "see the agent's log for the error",
		    "the journal cannot be written");
}

static void
judge_process(struct health *h, enum health_process p, const char *name, const char *code,
    const char *means, const char *advice)
{
	if (p == HEALTH_GONE)
		problem(h, HEALTH_NOTE, code, advice, "%s died: %s", name, means);
	else if (p == HEALTH_NEVER)
		problem(h, HEALTH_NOTE, code, advice, "%s is not running: %s", name, means);
}

void
health_judge(const struct health_facts *f, unsigned failures, struct health *out)
{
	out->fault = HEALTH_FINE;
	out->links_only = false;
	out->n = 0;
	judge_daemon(f, failures, out);
	judge_links(f, out);
	judge_system(f, out);
	judge_process(out, f->keepalived, "keepalived", "keepalived",
	    "this gateway cannot become MASTER", "start keepalived, and look into its log");
	judge_process(out, f->conntrackd, "conntrackd", "conntrackd",
	    "translated connections do not survive a failover",
	    "start conntrackd, and look into its log");
	judge_process(out, f->sshd, "the pair's sshd", "sshd", "the peer cannot reach us",
	    "start the pair's sshd, and look into its log");
	if (f->replica)
		problem(out, HEALTH_NOTE, "replica",
		    "see whether `hagent link` runs on the standby, and the log of both pptpd",
		    "%s", f->replica);
	if (!f->peer_heard)
		problem(out, HEALTH_NOTE, "peer-silent",
		    "see whether the peer runs, and its sshd and its agent",
		    "the peer is silent on every path");
}

bool
health_must_yield(const struct health_view *v)
{
	if (v->ours == HEALTH_HARD)
		return !(v->peer_fresh && v->peers == HEALTH_HARD && v->senior);
	if (v->ours == HEALTH_SOFT)
		return v->active && v->peer_fresh && v->peer_standby && v->peer_in_step &&
		       v->peers <= HEALTH_NOTE && v->moves < v->moves_max;
	return false;
}
