/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * docs/takeover.md as a spin model: one session, two gateways, one stream between them, and any
 * interleaving of frames, losses, orders and reboots. README.md beside it says what is left out;
 * check.sh runs it. Every branch of a node is one atomic step.
 *
 * Sizes: KEYS key indices, a mark BLOCK ahead, epochs up to EPOCHS, planned moves in the first MOVES of them,
 * REBOOTS reboots of which LOST lose the state folder. With LIVE one node dies for good and the survivor must go on.
 * A BROKEN_x takes one rule away; the search must then find an error (check.sh says which rule it is).
 */
#ifndef KEYS
#define KEYS 7
#endif
#ifndef BLOCK
#define BLOCK 1
#endif
#ifndef EPOCHS
#define EPOCHS 3
#endif
#ifndef REBOOTS
#define REBOOTS 2
#endif
#ifndef LOST
#define LOST 1
#endif

#ifndef MOVES
#define MOVES 1
#endif

#define NO_MARK 15 /* every key; as `asked`: nothing is asked for */
#define PEER	(1 - n)
#define ODD(k)	((k) & 1)

mtype:frame = { HELLO, SNAPSHOT, MARKS, APPLIED, HANDOVER, TAKEN };

/* Frames of the stream, by sender: type, epoch, mark (HELLO: sender is active), classes (HELLO: PAST). */
chan wire[2] = [2] of { mtype:frame, byte, byte, byte };

/* On the disk. */
byte file_epoch[2]; /* 0 = there is no epoch file */
bit marker[2];

/* In memory, both roles. */
byte epoch[2];
bit serves[2];
bit up[2];	    /* this end of the stream */
bit session[2];	    /* active: it is served; standby: it is in the copy */
bit closed_even[2]; /* for good */
bit closed_odd[2];
byte mark[2];	  /* standby: of the copy; active: applied, keys below it are ours */
bit stale[2];	  /* standby: consent was given */
bit ready[2];	  /* standby: epoch and marker for a handover are on the disk */

/* In memory, the active's. */
byte next[2];	  /* key index of the next packet */
byte even_to[2];  /* from the mark to here even indices are ours */
byte asked[2];	  /* a mark that is not applied */
bit unproven[2];  /* promoted; what the old active did with even indices is not known */
bit greeted[2];	  /* the standby's HELLO was read */
bit described[2]; /* this stream has seen our snapshot */
byte consent[2];  /* `stale N` for our present N on its way to us: PAST of the sender */
byte met[2];	  /* the peer's boot whose past is accounted for, since we serve */

/* The environment. */
byte boot[2]; /* counts from 1 */
byte reboots;
byte lost;
bit dead[2];

/* What the properties are about; the nodes do not look at it. */
short used;   /* key indices, a bit each */
bit heard[2]; /* this node has heard that the other is active, as it is now */
bit went_on;
bit could;

#define CLEAN(x) (file_epoch[x] > 0 && !marker[x])
#define PAST(x)	   (CLEAN(x) -> 64 + boot[x] : boot[x])
#define PROVEN(p)  (p > 64)
#define EXPOSED(x) (session[x] && mark[x] != NO_MARK)
#define OURS(x, k)                                                                                \
	((ODD(k) -> !closed_odd[x] : (!closed_even[x] && !unproven[x])) &&                         \
	    (k < mark[x] || (k < even_to[x] && EVEN_ONLY(k))))
#ifdef BROKEN_PARITY
#define EVEN_ONLY(k) true
#else
#define EVEN_ONLY(k) (!ODD(k))
#endif

#define AHEAD(x) ((closed_even[x] || closed_odd[x]) -> 2 * BLOCK : BLOCK)
#define LOWEST(x) (serves[x] -> next[x] : mark[x])
#define QUIET (empty(wire[0]) && empty(wire[1]))
#define ODD_KEYS 10922

inline flush(c)
{
	do
	:: nempty(c) -> c?_, _, _, _
	:: empty(c) -> break
	od
}

inline hang_up(x)
{
	flush(wire[1 - x]); /* nobody will read it */
	up[x] = 0;
	greeted[x] = 0;
	described[x] = 0;
	asked[x] = NO_MARK;
	ready[x] = 0;
}

inline forget_session(x)
{
	session[x] = 0;
	closed_even[x] = 0;
	closed_odd[x] = 0;
	mark[x] = NO_MARK;
	stale[x] = 0;
	next[x] = 0;
	even_to[x] = 0;
	unproven[x] = 0;
}

/* Silent at once, and a standby with an empty copy. */
inline demote(x)
{
	serves[x] = 0;
	hang_up(x);
	forget_session(x);
	consent[x] = 0;
	met[x] = 0;
	heard[0] = 0;
	heard[1] = 0;
}

/* Node n met a peer; unless it is clean its class is closed, once a boot. */
inline account(past)
{
	if
	:: PROVEN(past) -> unproven[n] = 0; met[n] = past - 64
#ifndef BROKEN_BOOT
	:: !PROVEN(past) && past == met[n]
#endif
	:: else ->
		met[n] = past;
		close_class()
	fi
}

inline close_class()
{
	if
	:: session[n] && unproven[n] -> closed_even[n] = 1; unproven[n] = 0
#ifdef BROKEN_CUT
	:: EXPOSED(n) && even_to[n] && !unproven[n] -> closed_odd[n] = 1
#else
	:: EXPOSED(n) && !unproven[n] -> closed_odd[n] = 1
#endif
	:: else
	fi;
	if
	:: closed_even[n] && closed_odd[n] -> forget_session(n)
	:: else
	fi
}

/* ok = node n goes on with what it heard from a peer of epoch e. */
inline hear(e, from_active)
{
	if
	:: from_active && serves[n] && serves[PEER] && e == epoch[PEER] -> heard[n] = 1
	:: else
	fi;
#ifdef BROKEN_EPOCH
	ok = 1;
#else
	if
	:: e > epoch[n] && serves[n] -> demote(n); epoch[n] = e; ok = 0
	:: e > epoch[n] && !serves[n] -> epoch[n] = e; ok = 1
	:: e == epoch[n] && from_active && serves[n] && n == 1 -> demote(n); ok = 0
	:: e == epoch[n] && from_active && serves[n] && n == 0 -> ok = 0
	:: e < epoch[n] -> ok = 0
	:: else -> ok = 1
	fi
#endif
}

/* ---- what a node does ---- */

/* One packet: its key is the first that is ours, this one or the next. */
inline send_packet()
{
	if
	:: OURS(n, next[n]) -> key = next[n]
	:: else -> key = next[n] + 1
	fi;
	assert(!(used & (1 << key)));			    /* property 1 */
	assert(!(serves[PEER] && heard[n] && heard[PEER])); /* property 2 */
	used = used | (1 << key);
	next[n] = key + 1;
	key = 0;
	settle();
#ifdef LIVE
	if
	:: dead[PEER] -> went_on = 1
	:: else
	fi
#endif
}

#define CAN_SEND(x)                                                                               \
	(serves[x] && session[x] &&                                                                \
	    ((next[x] < KEYS && OURS(x, next[x])) || (next[x] + 1 < KEYS && OURS(x, next[x] + 1))))

/* The standby dials; a newer stream displaces an older one. */
inline dial()
{
	hang_up(0);
	hang_up(1);
	up[0] = 1;
	up[1] = 1;
	consent[PEER] = 0; /* N counts up */
	wire[n]!HELLO(epoch[n], 0, PAST(n));
	wire[PEER]!HELLO(epoch[PEER], 1, 0)
}

/* A snapshot is the session with a mark, or empty; BEGIN and END are in it. */
inline send_snapshot()
{
	described[n] = 1;
	if
	:: !session[n] -> wire[n]!SNAPSHOT(epoch[n], NO_MARK, 0)
	:: session[n] ->
		new = next[n] + AHEAD(n);
		if
		:: mark[n] == NO_MARK || new < mark[n] -> mark[n] = new; even_to[n] = 0
		:: mark[n] != NO_MARK && even_to[n] == NO_MARK && new >= mark[n] ->
#ifdef BROKEN_EARLY
			mark[n] = new;
#endif
			even_to[n] = new
		:: else
		fi;
		asked[n] = new;
#ifdef BROKEN_MARK
		mark[n] = new;
#endif
		wire[n]!SNAPSHOT(epoch[n], new, closed_even[n] + 2 * closed_odd[n]);
		new = 0
	fi
}

inline ask_for_mark()
{
	asked[n] = mark[n] + AHEAD(n);
#ifdef BROKEN_MARK
	mark[n] = asked[n];
#endif
	wire[n]!MARKS(epoch[n], asked[n], 0)
}

/* The standby is in step: what this node may have used is known to the active. */
inline tidy_standby()
{
	if
	:: !ready[n] ->
		marker[n] = 0;
		if
		:: epoch[n] > file_epoch[n] -> file_epoch[n] = epoch[n]
		:: else
		fi
	:: true
	fi
}

inline apply_record(m, classes)
{
	session[n] = 1;
	stale[n] = 0;
	mark[n] = m;
	closed_even[n] = classes & 1;
	closed_odd[n] = classes >> 1
}

inline apply_snapshot(m, classes)
{
	if
	:: m == NO_MARK -> forget_session(n)
	:: else -> apply_record(m, classes)
	fi;
	tidy_standby()
}

/*
 * The standby has prepared: epoch and marker are on its disk. Then the exact mark, with HANDOVER behind
 * it: nothing of the active is ahead. What it relays uses no key.
 */
inline hand_over()
{
	write_epoch(PEER);
	ready[PEER] = 1;
#ifndef BROKEN_EXACT
	mark[n] = next[n];
#endif
	asked[n] = next[n];
	wire[n]!HANDOVER(epoch[n], next[n], closed_even[n] + 2 * closed_odd[n])
}

/* REFUSED is an APPLIED: then a new mark is asked for. TAKEN is a word of the higher epoch. */
inline read_handover(m, classes)
{
	apply_record(m, classes);
	if
	:: ready[n] && file_epoch[n] > epoch[n] -> epoch[n] = file_epoch[n]; go_on()
	:: true
	fi;
	ready[n] = 0
}

inline read_hello(e, from_active, past)
{
	if
	/* That is how a node comes back: its HELLO may be behind. */
	:: serves[n] && !from_active && e <= epoch[n] ->
		greeted[n] = 1;
#ifdef BROKEN_REOPEN
		if
		:: PROVEN(past) -> closed_even[n] = 0; closed_odd[n] = 0
		:: else
		fi;
#endif
		account(past)
	:: else ->
		hear(e, from_active);
		if
		:: ok && !serves[n] ->
#ifdef BROKEN_FOLDER
			file_epoch[n] = epoch[n];
#endif
			skip
		:: else -> hang_up(n)
		fi
	fi
}

inline read_applied(e)
{
	hear(e, 0);
	if
	:: ok && serves[n] && asked[n] != NO_MARK ->
		mark[n] = asked[n];
		even_to[n] = 0;
		asked[n] = NO_MARK;
		if
		:: true -> marker[n] = 0
		:: true
		fi
	:: ok && serves[n] && asked[n] == NO_MARK && !session[n] -> skip
	:: else -> hang_up(n)
	fi
}

/* Key indices that nobody can come back to are counted as used: fewer states, and no error is hidden. */
inline settle()
{
	if
	:: nempty(wire[0]) || nempty(wire[1])
	:: QUIET && session[0] && session[1] -> key = (LOWEST(0) < LOWEST(1) -> LOWEST(0) : LOWEST(1))
	:: QUIET && session[0] && !session[1] -> key = LOWEST(0)
	:: QUIET && !session[0] && session[1] -> key = LOWEST(1)
	:: QUIET && !session[0] && !session[1]
	fi;
	used = used | ((1 << key) - 1);
	key = 0
}

inline read_frame()
{
	wire[PEER]?type, e, m, classes;
	if
	:: type == HELLO -> read_hello(e, m, classes)
	:: type == APPLIED -> read_applied(e)
	:: type == TAKEN ->
		hear(e, 0);
		if
		:: ok -> hang_up(n)
		:: else
		fi
	:: else ->
		hear(e, 1);
		if
		:: !ok -> hang_up(n)
#ifdef BROKEN_EPOCH
		:: ok && serves[n] -> wire[n]!APPLIED(epoch[n], 0, 0)
#endif
		:: ok && !serves[n] ->
			if
			:: type == SNAPSHOT -> apply_snapshot(m, classes)
			:: type == MARKS && session[n] -> mark[n] = m
			:: type == HANDOVER -> read_handover(m, classes)
			:: else
			fi;
			if
			:: serves[n] -> wire[n]!TAKEN(epoch[n], 0, 0)
			:: else -> wire[n]!APPLIED(epoch[n], 0, 0)
			fi
		fi
	fi;
	key = 0;
	settle();
	ok = 0;
	type = HELLO;
	e = 0;
	m = 0;
	classes = 0
}

/* Epoch and marker are on the disk before the first packet. */
inline promote()
{
	write_epoch(n);
	epoch[n] = file_epoch[n];
	go_on()
}

inline write_epoch(x)
{
	file_epoch[x] = (epoch[x] > file_epoch[x] -> epoch[x] : file_epoch[x]) + 1;
	marker[x] = 1
}

inline go_on()
{
	heard[0] = 0;
	heard[1] = 0;
	ready[n] = 0;
	serves[n] = 1;
	if
	:: session[n] && !stale[n] && !closed_odd[n] ->
		/* property 4: what the other used at or above this mark was even */
		assert(!(used & ODD_KEYS & ~((1 << mark[n]) - 1)));
		/* and nobody serves it with every key */
		assert(!(serves[PEER] && session[PEER] && mark[PEER] == NO_MARK));
		next[n] = mark[n];
		mark[n] = NO_MARK;
		even_to[n] = 0;
#ifndef BROKEN_PARITY
		unproven[n] = 1
#endif
	:: else -> forget_session(n)
	fi
}

/* No path answers: the marker is on the disk, then even keys above the mark. */
inline go_silent()
{
	hang_up(n);
#ifndef BROKEN_MARKER
	marker[n] = 1;
#endif
	if
	:: closed_even[n] -> forget_session(n) /* the client must redial */
	:: else -> even_to[n] = NO_MARK
	fi
}

inline give_consent()
{
#ifndef BROKEN_STALE
	stale[n] = session[n];
#endif
	hang_up(n);
	consent[PEER] = PAST(n)
}

inline go_solo()
{
#ifndef BROKEN_CONSENT
	account(consent[n]);
#endif
	consent[n] = 0;
	hang_up(n);
	if
	:: session[n] -> mark[n] = NO_MARK; even_to[n] = 0
	:: else
	fi
}

/* Staying away for a while = doing nothing for a while. */
inline reboot()
{
	reboots++;
	demote(n);
	boot[n]++;
	if
	:: lost < LOST -> lost++; file_epoch[n] = 0; marker[n] = 0
	:: true
	fi;
	epoch[n] = file_epoch[n]
}

/* By keepalived's word alone. */
inline step_down()
{
	reboots++;
	demote(n)
}

inline die()
{
	/* A word of an epoch that is in force may still be on its way: then the sessions end. */
	could = session[PEER] && !wire[n]??[TAKEN, _, _, _] &&
	    epoch[n] + (serves[n] && serves[PEER] && n == 0 -> 1 : 0) <= epoch[PEER] &&
	    (serves[PEER] -> next[PEER] + 1 < KEYS && !(EXPOSED(PEER) && closed_even[PEER]) :
	     session[n] && !stale[PEER] && !closed_odd[PEER] && mark[PEER] + 1 < KEYS &&
		 next[n] + 2 * BLOCK + 1 < KEYS);
	demote(n);
	dead[n] = 1
}

#define CALM (!dead[0] && !dead[1])
/* Nobody has the session and nobody can get it: there is nothing left to see. */
#define ALIVE (session[0] || session[1] || nempty(wire[0]) || nempty(wire[1]))
#define NEW_EPOCH(x) (epoch[x] < EPOCHS && file_epoch[x] < EPOCHS)

proctype node(byte n)
{
	byte key, new, e, m, classes;
	bit ok;
	mtype:frame type = HELLO;

end:
	do
	:: atomic { CAN_SEND(n) && !dead[n] -> send_packet() }

	/* the stream */
	:: atomic { CALM && ALIVE && !serves[n] && serves[PEER] -> dial() }
	:: atomic { up[n] && nempty(wire[PEER]) && nfull(wire[n]) && !dead[n] -> read_frame() }
	:: atomic {
		up[n] && serves[n] && greeted[n] && !described[n] && up[PEER] && nfull(wire[n]) &&
		    next[n] + 2 * BLOCK < NO_MARK ->
		send_snapshot()
	   }
	:: atomic {
		up[n] && serves[n] && described[n] && EXPOSED(n) && asked[n] == NO_MARK &&
		    mark[n] < KEYS && next[n] + 1 >= mark[n] && up[PEER] && nfull(wire[n]) ->
		ask_for_mark()
	   }

	/* orders */
	:: atomic { ALIVE && !serves[n] && !dead[n] && (NEW_EPOCH(n) || dead[PEER]) -> promote() }
#ifndef BROKEN_SILENCE
	:: atomic { serves[n] && EXPOSED(n) && even_to[n] != NO_MARK -> go_silent() }
#endif
	:: atomic {
		CALM && ALIVE && !serves[n] && serves[PEER] && EXPOSED(PEER) && !consent[PEER] &&
		    epoch[n] <= epoch[PEER] ->
		give_consent()
	   }
	:: atomic { serves[n] && consent[n] && EXPOSED(n) -> go_solo() }

	/* a planned move */
	:: atomic {
		CALM && epoch[n] <= MOVES && up[n] && serves[n] && described[n] && EXPOSED(n) &&
		    asked[n] == NO_MARK && next[n] <= mark[n] && up[PEER] && QUIET && !serves[PEER] && session[PEER] &&
		    !stale[PEER] && NEW_EPOCH(PEER) ->
		hand_over()
	   }

	/* the agents talk: here the peer's word reaches us */
	:: atomic {
		CALM && serves[n] &&
		    (epoch[PEER] > epoch[n] || serves[PEER]) && !heard[n] ->
		hear(epoch[PEER], serves[PEER]);
		ok = 0
	   }

#ifdef LIVE
	:: atomic { CALM -> die() }
#endif
	:: atomic { CALM && ALIVE && reboots < REBOOTS -> reboot() }
	:: atomic { CALM && ALIVE && reboots < REBOOTS && serves[n] -> step_down() }
	od
}

init
{
	atomic {
		file_epoch[0] = 1;
		file_epoch[1] = 1;
		epoch[0] = 1;
		epoch[1] = 1;
		boot[0] = 1;
		boot[1] = 1;
		marker[0] = 1;
		forget_session(0);
		forget_session(1);
		asked[0] = NO_MARK;
		asked[1] = NO_MARK;
		serves[0] = 1;
		session[0] = 1;
		run node(0);
		run node(1)
	}
}

#ifdef LIVE
/* property 3, and the live half of property 2 */
ltl goes_on { [] (could -> <> went_on) && [] <> !(serves[0] && serves[1]) }
#endif
