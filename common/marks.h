/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Socket marks that the daemon sets and the guard ruleset matches.
 */
#ifndef COMMON_MARKS_H
#define COMMON_MARKS_H

#define MARK_LISTENER 0x70701723u /* the listening socket; its stray RSTs carry it too */
#define MARK_CALL                                                                                  \
	0x70701724u /* a live control connection: no FIN or RST while the peer can continue it */
#define MARK_CLOSING 0x70701725u /* set before a deliberate close, so that its FIN passes */

#endif
