/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * keepalived.conf.in, embedded at build time.
 */
#ifndef KEEPALIVED_TEMPLATE_H
#define KEEPALIVED_TEMPLATE_H

extern const char keepalived_template[];

#endif
