/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent: one object that ties keepalived's words, the role machine, the steps of a transition,
 * health, the peer and the files together on one loop. Private to hagent/agent*.c and cmd_run.c.
 * The loop never waits for a child, a socket or the peer; what may block runs in a child.
 *
 *   agent.c           life cycle, words about mastership, keepalived's death, transitions
 *   agent_steps.c     what each step does
 *   agent_health.c    the tick: facts, verdict, track file, reconciliation
 *   agent_crash.c     crashes of the two engines, and what they had in hand
 *   agent_deep.c      the deep check
 *   agent_flap.c      failures and moves that are too many; word of links that change
 *   agent_files.c     changed files, and the children that carry them
 *   agent_link.c      keeps `hagent link` running
 *   agent_replica.c   consent, silence, the marker, the guard's holds
 *   agent_split.c     two that both served; agent_fence.c: what must be sure of a lost peer
 *   agent_move.c      planned moves: giving the sessions and the addresses to the peer
 *   agent_take.c      planned moves: being ready for them
 *   agent_flows.c     requests to conntrackd
 *   agent_maintain.c  maintenance
 *   agent_drill.c     drills that are run here; agent_drill_peer.c: those of the peer
 *   agent_commands.c  its sockets; agent_status.c: the one for `hagent web`
 *   agent_counts.c    what it counts
 */
#ifndef HAGENT_AGENT_H
#define HAGENT_AGENT_H

#include <limits.h>

#include "common/answer.h"
#include "common/answer_client.h"
#include "common/crash.h"
#include "hagent/agent_drill.h"
#include "hagent/arp.h"
#include "hagent/child.h"
#include "hagent/deep.h"
#include "hagent/flap.h"
#include "hagent/hagent.h"
#include "hagent/health.h"
#include "hagent/journal.h"
#include "hagent/move.h"
#include "hagent/peer.h"
#include "hagent/facts.h"
#include "hagent/role.h"
#include "hagent/split.h"
#include "hagent/steps.h"
#include "keepalived/fifo.h"
#include "sync/conntrackd.h"

/* Where `hagent link` reports: group pptp-ha, one command. */
#define AGENT_LINK_SOCKET HAGENT_RUN "/link.sock"
#define AGENT_LINK_LOCK   HAGENT_RUN "/link.lock"

#define AGENT_TICK_MS    150
#define AGENT_VERDICT_MS 1000 /* a verdict older than this is none */

struct agent_options {
	const char *conntrackd;      /* the program that talks to conntrackd */
	const char *keepalived_pids; /* folder of keepalived's pid files */
	const char *user;            /* whom `hagent link` runs as, and whose group may ask */
	bool link;                   /* start `hagent link` */
};

struct agent_pptpd {
	struct answer_client *orders; /* promote, demote: in order on one connection */
	struct answer_client *asks;   /* status */
	struct answer_client *wishes; /* reload: may take long, and must delay neither */
	uint64_t order;               /* the call under way */
	unsigned order_token;         /* and its step */
	bool known;                   /* it has answered since the agent began */
	unsigned failures;            /* in a row */
	char error[160];
	bool active, listening;
	uint64_t epoch;
	json_t *status; /* its last answer */
	uint64_t answered_ms, took_ms;
};

/* A step that is a child. */
struct agent_child {
	struct agent *agent;
	struct child child;
	unsigned token; /* of the step; 0 = not of a step */
	unsigned phase; /* of a step that runs several programs */
};

/* Requests to conntrackd, one at a time: over its socket, or by its program, which is c.child. */
struct agent_flows {
	struct agent_child c;
	struct conntrackd_talk talk;
	child_done_fn *done;
};

/* Whether conntrackd speaks what we speak: see agent_flows.c. */
struct agent_flows_look {
	pid_t pid; /* of the one that was asked */
	bool told; /* it does */
	struct conntrackd_talk talk;
};

struct agent_transition {
	uint64_t id;
	enum role_work work;
	char why[160];
	uint64_t begun_ms, ended_ms;
	int64_t begun_at; /* wall clock */
	bool running;
	const char *slowest;
	uint64_t slowest_ms;
	bool trouble; /* a step failed or was cut */
};

/* A run of `hagent sync ...`, and who waits for its JSON. */
struct agent_job {
	struct agent *agent;
	struct child child;
	char verb[16];
	struct answer_request *asker; /* NULL = nobody */
};

/* What the agents do for the engines' replica: see pair.h. */
struct agent_replica {
	struct timer look;
	struct answer_client *asks;
	json_t *status; /* its last answer; NULL = none */
	uint64_t answered_ms, uptime_ms, wanted_since_ms;
	uint64_t served_ms; /* when the engine was last seen active; 0 = never */
	struct pair_wishes wishes;
	bool asking, ordering, pairing, paired;
	bool marker_may, marker_sure; /* as in struct pair_facts */
	struct pair_wishes paired_as; /* clean, as the engine was told */
	uint64_t paired_epoch;
	uint64_t disk_again_ms, holds_again_ms, pair_again_ms; /* after a failure */
	uint64_t complained_ms, ordered_ms;
	struct pair_wishes ordered; /* order and cut, as the engine took them at ordered_ms */
	struct agent_child marker_child, hold_child;
	uint64_t prepared_epoch; /* what the marker's child writes for a promotion */
	void (*prepared)(struct agent *a, int error); /* NULL = it writes for nobody */
	int holds_set;             /* enum fw_hold, or-ed, as they stand; < 0 = not known */
	int holds_goal;            /* of the child under way */
	uint64_t trouble_since_ms; /* 0 = there is none */
	char trouble[120];
};

struct agent_crash {
	char path[PATH_MAX], peer_path[PATH_MAX];
	ino_t inode; /* of the file as it was read last */
	struct timespec at;
	struct crashes ours, peers;
	unsigned version, told; /* of both; as the engine knows them */
	bool telling;
	uint64_t uptime_ms, again_ms;
};

/* See agent_deep.c. */
struct agent_deep {
	struct answer_client *orders;
	char password[33];
	bool account, ordering; /* the daemon has it; it is being told */
	unsigned workers;
	pid_t pid; /* 0 = none */
	int pidfd, channel;
	struct io pidfd_io, channel_io;
	uint64_t again_ms; /* not before: what failed */
	uint64_t again_wait_ms;
	uint64_t wanted_ms; /* since when; 0 = it is not */
	struct deep_report report;
	uint64_t heard_ms;           /* when it came; 0 = never */
	uint64_t seen_ms, uptime_ms; /* of the daemon's newest answer */
	struct deep_work work[LOOPBACK_SESSIONS];
	uint64_t logins, login_ms;
	struct deep_finding finding;
	int64_t since;  /* wall clock, of the verdict */
	bool left_dead; /* that made us give the role away */
	uint64_t failures;
	uint64_t dead_ms; /* since when the verdict is that; 0 = it is not */
};

struct agent_files {
	int fd; /* inotify; < 0 = none */
	struct io io;
	struct timer debounce, minute, settle;
	struct agent_job out, in; /* ours to the peer; the peer's to us */
	bool again;               /* a change, or the peer's wish, came during a push */
	bool asked;               /* the peer wants our files, whatever our role */
	char result[512];         /* of the last push or pull */
	char result_of[16];
	int64_t result_at, ok_at; /* wall clock, ms; 0 = never */
	bool ok;
};

#define MOVE_ASKERS 8
#define MOVE_STEPS  4
#define TAKE_STEPS  5

/* Who wants a move, and how. */
struct agent_move_wish {
	const char *why;
	bool force;
	bool automatic; /* for a fault of ours: counted, and the plain way when the other fails */
	bool leaving;   /* a daemon is to stop then: nothing may be on its way through us */
};

struct agent_move {
	struct steps steps;
	struct step list[MOVE_STEPS];
	bool running, force, automatic, leaving;
	bool given;     /* the peer has the sessions, our engine relays */
	bool unsettled; /* given, and the peer does not have the addresses yet */
	bool tracked;   /* the track file says 1 for it */
	bool failed;
	enum move_answer way; /* MOVE_NO until it is decided */
	uint64_t id, epoch, begun_ms, given_ms, active_ms, moved_ms;
	uint64_t gave_epoch; /* of the last one that was given; 0 = none */
	int64_t begun_at;    /* wall clock */
	unsigned sessions;
	char why[160], text[MOVE_TEXT]; /* text: what came of it */
	json_t *last;                   /* its journal line; NULL = none */
	struct answer_request *askers[MOVE_ASKERS];
	size_t n_askers;
	unsigned check_token, address_token; /* of steps that wait; 0 = none */
	uint64_t order;                      /* `handover` under way */
	unsigned order_token;
	struct agent_child ask;        /* the peer, `prepare` */
	struct agent_child pass;       /* the peer, `switchover`: we stand by */
	struct answer_request *passed; /* who waits for that */
	bool pass_force;
	uint64_t stream_ms; /* since when the stream is left as it is; 0 = it is not */
};

struct agent_take {
	struct steps steps;
	struct step list[TAKE_STEPS];
	bool preparing, prepared; /* one after the other */
	bool written;             /* marker and epoch are on the disk */
	bool opened;              /* the gate is */
	bool failed, undoing;
	uint64_t id, epoch, prepared_ms;
	char text[MOVE_TEXT];
	struct answer_request *asker;
	struct agent_flows commit;
	struct agent_child gate;
	uint64_t order;
	unsigned order_token, disk_token;
	struct timer expiry, disk_again;
	struct step shut; /* undoes */
};

struct agent_maintenance {
	bool on, goal, turning; /* turning: the file is being written or removed */
	int64_t since;          /* wall clock */
	char path[PATH_MAX];
	struct agent_child child;
	struct answer_request *asker;
	uint64_t again_ms; /* when it may try to move away */
};

enum fence_purpose {
	FENCE_PROMOTE,
	FENCE_SILENT
};

/* See agent_fence.c. */
struct agent_fence {
	struct agent_child child;
	enum {
		FENCE_IDLE,
		FENCE_RUNS,
		FENCE_DONE,
		FENCE_FAILED,
		FENCE_HUNG
	} state;
	enum fence_purpose purpose;
	uint64_t began_ms, ended_ms, asked_ms;
	uint64_t first_ms; /* asked for the first time since the peer was heard; 0 = never */
	int64_t ended_at;  /* wall clock; 0 = never */
	unsigned token;    /* of the step that waits; 0 = none */
	struct timer wait;
	char text[160];
};

struct agent_counts;
struct agent_log;
struct agent_status;

struct agent {
	const struct hagent *h;
	const struct agent_options *options;
	struct cluster *cluster;
	const struct cluster_node *us, *them;
	struct loop *loop;
	char self[PATH_MAX]; /* our own program */
	char vrrp_pid[PATH_MAX], track[PATH_MAX], epoch_path[PATH_MAX], state_folder[PATH_MAX];
	char conntrackd_conf[PATH_MAX], conntrackd_socket[PATH_MAX], sshd_pid[PATH_MAX];
	char pptpd_socket[PATH_MAX], alone_path[PATH_MAX], standing[PATH_MAX];
	struct sig term, interrupt;
	uint64_t started_ms;

	struct role role;
	struct steps steps;
	struct step lists[4][STEPS_MAX]; /* by enum role_work; BACKUP of a move */
	size_t n_lists[4];
	struct agent_transition transition;
	enum role_work work_before; /* of the transition before it */
	json_t *last_transition;    /* as its journal line; NULL = none */
	uint64_t last_id;
	struct journal journal;
	struct epoch epoch;

	int fifo;
	struct io fifo_io;
	struct fifo_buffer fifo_buffer;
	enum fifo_event heard;    /* of keepalived, last; FIFO_N_EVENTS = nothing yet */
	int pending;              /* enum fifo_event to act on after a read; < 0 = none */
	struct timer master_wait; /* MASTER came, the address not yet */
	unsigned master_tries;

	struct facts_process keepalived, conntrackd, sshd, pptpd_monitor;
	struct io keepalived_io;

	struct agent_pptpd pptpd;
	unsigned copy_token, yield_token; /* of steps that wait for the peer; 0 = none */
	unsigned refresh_token;           /* of one that waits for a commit, or a moment */
	unsigned settle_token;            /* as these, until the addresses of a move have settled */
	unsigned epoch_token;             /* of an epoch step that waits for the disk; 0 = none */
	struct agent_child epoch_child, gate_child, vip_child;
	struct agent_flows commit, resync;
	struct timer refresh_later;
	struct agent_flows_look flows_look;
	struct arp arp;

	struct peer peer;
	struct agent_replica replica;
	struct agent_fence fence;
	struct split split;
	bool standing_written, stands_ahead; /* what the priority file says */
	pid_t link_pid;                      /* one that we started; 0 = none */
	bool link_runs;                      /* ours, or one that an earlier agent started */
	uint64_t link_started_ms;

	struct timer tick;
	uint64_t ticks;
	struct health_facts facts;
	struct health health;
	bool held;           /* the virtual WAN address is on its interface */
	bool lan_gone;       /* we serve, and that of the LAN was not there */
	uint64_t verdict_ms; /* of the last verdict; 0 = none yet */
	bool yielding;       /* what the track file says; valid with verdict_ms */
	bool track_written;
	bool yield_moved; /* we served when it began to say 1 */
	uint64_t yield_ms, good_since_ms;
	uint64_t epoch_yield_ms; /* when we yielded to a higher epoch; 0 = we do not */
	uint64_t
	    odd_since_ms; /* since when role and address contradict each other; 0 = they agree */
	uint64_t repaired_ms;
	struct agent_crash crash;
	struct agent_deep deep;
	struct flap_times moves; /* automatic ones */
	struct flap flap;
	struct flap_verdict flap_verdict;
	int links_fd; /* netlink: a link has changed; < 0 = none */
	struct io links_io;
	struct timer links_again;

	struct agent_move move;
	struct agent_take take;
	struct agent_maintenance maintenance;
	struct agent_drill drill;

	struct agent_files files;
	struct answer_server *agent_server, *query_server, *link_server;
	struct agent_status *status;
	struct agent_log *log;
	struct agent_counts *counts; /* NULL = nothing yet */
	json_t *probes;              /* see agent_probed.c; NULL = none */
};

/* agent.c */
/* Everything but the loop's run. 0, or -1 after a message. */
int agent_init(struct agent *a, const struct hagent *h, const struct agent_options *o);
void agent_fini(struct agent *a);
/* A word about mastership that is no notify line; why is for the journal. */
void agent_word(struct agent *a, enum role_event event, const char *why);
/* One notify line, without its newline. 0, or -1 with errno EBADMSG. */
int agent_notify(struct agent *a, const char *line);
bool agent_serves(const struct agent *a); /* active or promoting */
/* The counter that orders carry: none that pptpd has seen is higher. */
uint64_t agent_counter(const struct agent *a);
/* A step's line in the journal; what: the transition that it belongs to. */
void agent_journal_step(struct agent *a, const struct steps_report *r, const char *what);

/* agent_steps.c */
void agent_steps_init(struct agent *a);
void agent_steps_fini(struct agent *a);
/* The list of steps for a kind of work, in the agent's own memory. */
const struct step *agent_steps_of(struct agent *a, enum role_work work, size_t *n);
void agent_steps_epoch(struct agent *a); /* the step may go on */
/* The wishes of the replica are new: steps that wait for what they say may end. */
void agent_steps_waited(struct agent *a);
int agent_gate_is_open(void); /* 1, 0; -1 = the rules are not loaded */
/* Exit status of a child: 0, or 1 after a text on stderr. */
int agent_gate_set(bool open);

/* agent_health.c */
void agent_health_init(struct agent *a);
void agent_health_fini(struct agent *a);
const char *agent_worst(const struct agent *a); /* the worst problem's text, "" = none */
void agent_keepalived_look(struct agent *a);    /* holds its process if there is one */
void agent_links_look(struct agent *a);         /* judges at once what our links are now */
/* Of two that are equally bad one stays: who serves, else the higher epoch, else the first name. */
bool agent_is_senior(const struct agent *a);

/* agent_crash.c */
void agent_crash_init(struct agent *a);
void agent_crash_look(struct agent *a);
void agent_crash_heard(struct agent *a, const json_t *hello);
void agent_crash_hello(const struct agent *a, json_t *o);
json_t *agent_crash_json(const struct agent *a); /* of the last hour, for status; new reference */

/* agent_deep.c */
int agent_deep_init(struct agent *a); /* 0, or -1 after a message */
void agent_deep_fini(struct agent *a);
void agent_deep_look(struct agent *a); /* each tick, before health is judged */
/* A worker is dead, and for so long that the peer need not be in step. */
bool agent_deep_is_long(const struct agent *a);
json_t *agent_deep_json(const struct agent *a); /* for status: new reference */

/* agent_flap.c */
void agent_flap_init(struct agent *a);
void agent_flap_fini(struct agent *a);
/* A line of the journal from before this agent. */
void agent_flap_remember(struct agent *a, const char *event, int64_t at);
/* What was found at the agent's start: whether we serve, whatever the journal says. */
void agent_flap_found(struct agent *a, bool serves);
/* The verdict of flap.h on the present health; notes failures, tells the journal what is new. */
const struct flap_verdict *agent_flap_judge(struct agent *a);
const char *agent_flap_text(const struct agent *a); /* why it holds, "" = it does not */
unsigned agent_moves(const struct agent *a);        /* automatic moves of the last 10 minutes */
/* An operator wants this gateway to serve: nothing of the past holds it. */
void agent_flap_lift(struct agent *a);
/* Into our hello; what status says of it: new reference. */
void agent_flap_hello(const struct agent *a, json_t *o);
json_t *agent_flap_json(const struct agent *a);
/* The track file. counted: if we serve, this is one of the automatic moves. */
void agent_track(struct agent *a, bool yield, const char *why, bool counted);

/* agent_split.c */
void agent_split_init(struct agent *a);
void agent_split_look(struct agent *a);
void agent_split_promoted(struct agent *a); /* a promotion begins */
json_t *agent_split_json(const struct agent *a);

/* agent_fence.c */
void agent_fence_init(struct agent *a);
void agent_fence_fini(struct agent *a);
void agent_fence_look(struct agent *a);
enum pair_fence agent_fence_fact(const struct agent *a);
/* It has just failed: this node must not be MASTER, and why. */
bool agent_fence_forbids(const struct agent *a);
const char *agent_fence_text(const struct agent *a);
/* For how long a promotion has waited for it since the peer was heard; 0 = it has not. */
uint64_t agent_fence_held_ms(const struct agent *a);
const char *agent_fence_word(const struct agent *a);
json_t *agent_fence_json(const struct agent *a);
/* The step of a promotion. */
int agent_fence_begin(struct steps *s, unsigned token, void *arg);
bool agent_fence_cut(void *arg);

/* agent_files.c */
void agent_files_init(struct agent *a);
void agent_files_fini(struct agent *a);
/* After a promotion. */
void agent_files_pull(struct agent *a);
/* Whether a push or pull, and whether an installation is under way. */
bool agent_files_sending(const struct agent *a);
bool agent_files_taking(const struct agent *a);
/*
 * Starts `hagent sync VERB [ARGUMENT]` in that slot (out or in). r, if given, gets the child's JSON
 * when it is done. -1 with errno (EBUSY: one is under way); r is untouched then.
 */
int agent_files_do(
    struct agent *a, bool out, const char *verb, const char *argument, struct answer_request *r);
json_t *agent_files_json(const struct agent *a);

/* agent_link.c */
/* Starts `hagent link` unless one runs; called about once a second. */
void agent_link_look(struct agent *a);

/* agent_replica.c */
int agent_replica_init(struct agent *a);
void agent_replica_fini(struct agent *a);
/*
 * A promotion writes marker and epoch itself, after what is under way with them. True: nothing is;
 * false: it is cut, and agent_steps_epoch() is called when it is gone.
 */
bool agent_replica_leave_disk(struct agent *a);
/* The peer has said something new. */
void agent_replica_look(struct agent *a);
/* What our hello says of it goes into o; what status says of it: new reference, or NULL. */
void agent_replica_hello(const struct agent *a, json_t *o);
json_t *agent_replica_json(const struct agent *a);
/* A move would cost no session: the standby holds them all, or there is none. */
bool agent_replica_covers(const struct agent *a);
/* What is wrong with it for some seconds, NULL = nothing. */
const char *agent_replica_trouble(struct agent *a);

/* Our engine's part of the facts. */
void agent_replica_move(const struct agent *a, struct move_facts *f);
/* What the engine says of a handover, borrowed; NULL from an older one. */
const json_t *agent_replica_handover(const struct agent *a);
bool agent_replica_is_active(const struct agent *a); /* our engine is */
/* The epoch that our engine yielded to, since the peer's spoke under it; 0 = it did not. */
uint64_t agent_replica_yielded(const struct agent *a);
/* Whether it serves under that epoch already. */
bool agent_replica_serves(const struct agent *a, uint64_t epoch);
/*
 * The marker and that epoch, for a promotion that is prepared. 0: done runs when they are written,
 * or not; -1 with errno (EBUSY: the disk is in use).
 */
int agent_replica_prepare(
    struct agent *a, uint64_t epoch, void (*done)(struct agent *a, int error));

/* agent_move.c */
void agent_move_init(struct agent *a);
void agent_move_fini(struct agent *a);
/* r may be NULL; it gets the result, also that of a move that is under way already. */
void agent_move_begin(struct agent *a, const struct agent_move_wish *w, struct answer_request *r);
/* A soft fault: true = a handover is under way, or begins now; false = yield the old way. */
bool agent_move_for_fault(struct agent *a, const char *why);
/* Whether role, address, daemon and epoch may disagree for now. */
bool agent_move_busy(const struct agent *a);
/* The track file is not health's: a move's, or maintenance's. Said where it must be. */
bool agent_move_decides(struct agent *a);
/* Our sessions are with the peer: the steps of BACKUP are those of a move. */
bool agent_move_given(const struct agent *a);
/* The stream between the engines is to be left as it is. */
bool agent_move_keeps_stream(const struct agent *a);
void agent_move_look(struct agent *a); /* facts may be new */
/* A transition begins. */
void agent_move_superseded(struct agent *a, enum role_work work);
json_t *agent_move_json(const struct agent *a);
/* The commands `switchover` and `leave`. */
void agent_move_ask(struct answer_request *r, json_t *args, struct agent *a, bool of_peer);
void agent_move_leave(struct answer_request *r, json_t *args, struct agent *a);
/* The last line of a child's output that is an object: new reference, or NULL. */
json_t *agent_move_answer(const struct child_result *r);

/* agent_flows.c */
/* A new conntrackd is asked a first question. */
void agent_flows_look(struct agent *a);
void agent_flows_look_fini(struct agent *a);
/* done(&f->c, result) runs once, from the loop. 0, or -1 with errno. */
int agent_flows_ask(struct agent_flows *f, enum conntrackd_request request, unsigned deadline_ms,
    child_done_fn *done);
bool agent_flows_busy(const struct agent_flows *f);
/* True: it is gone, done will not run; false: done is still to come. */
bool agent_flows_cut(struct agent_flows *f);
void agent_flows_fini(struct agent_flows *f);

/* agent_take.c */
void agent_take_init(struct agent *a);
void agent_take_fini(struct agent *a);
void agent_take_prepare(struct answer_request *r, json_t *args, struct agent *a);
bool agent_take_busy(const struct agent *a);
void agent_take_superseded(struct agent *a, enum role_work work);
/* That epoch, with its marker, is on the disk already. */
bool agent_take_wrote(const struct agent *a, uint64_t epoch);
bool agent_take_opened(const struct agent *a, uint64_t epoch); /* likewise the gate */
json_t *agent_take_json(const struct agent *a);

/* agent_maintain.c */
void agent_maintain_init(struct agent *a);
void agent_maintain_fini(struct agent *a);
void agent_maintain_turn(struct answer_request *r, json_t *args, struct agent *a);
void agent_maintain_look(struct agent *a); /* each tick */
/* A move that we wanted is over. */
void agent_maintain_moved(struct agent *a, bool moved, const char *text);

/* agent_status.c: the read-only socket of `hagent web` */
int agent_status_init(struct agent *a, gid_t group); /* -1 after a message */
void agent_status_fini(struct agent *a);

/* agent_log.c: the peer asks for our log */
int agent_log_init(struct agent *a); /* -1: out of memory */
void agent_log_fini(struct agent *a);
void agent_log_run(struct answer_request *r, json_t *args, struct agent *a);

/* agent_counts.c */
void agent_count_step(struct agent *a, const struct steps_report *r, const char *what);
void agent_count_transition(struct agent *a, const char *kind, const char *result, uint64_t ms);
void agent_counts_fini(struct agent *a);
/* New reference: {"transitions":[...],"steps":[...]} since the agent began. */
json_t *agent_counts_json(const struct agent *a);
/* Of our processes: [{"name","pid","open_fds","max_fds","rss_bytes","cpu_ms","threads"}]. */
json_t *agent_processes_json(const struct agent *a);

/* agent_probed.c: the command `probed` {"report":...}; what status says of it: new reference */
void agent_probed(struct answer_request *r, json_t *args, struct agent *a);
json_t *agent_probes_json(const struct agent *a);

/* agent_commands.c */
json_t *agent_status_json(struct agent *a);
/* A listening socket and its commands; NULL after a message. */
struct answer_server *agent_serve(struct agent *a, const char *path, mode_t mode, gid_t group,
    const struct answer_command *rows, size_t n, void *arg);
int agent_commands_init(struct agent *a);
void agent_commands_fini(struct agent *a);

#endif
