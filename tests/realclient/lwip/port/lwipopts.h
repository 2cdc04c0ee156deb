/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * lwIP as a PPTP client needs it: one thread, IPv4, PPP over a serial line, MS-CHAPv2 and MPPE.
 */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_IPV6            0
#define LWIP_ARP             0
#define LWIP_ETHERNET        0
#define LWIP_TCP             0
#define LWIP_RAW             1
#define LWIP_DNS             1
#define MEM_LIBC_MALLOC      1
#define MEMP_MEM_MALLOC      1
#define MEM_ALIGNMENT        8
#define PBUF_POOL_SIZE       64
#define LWIP_STATS           0
#define PPP_SUPPORT          1
#define PPPOS_SUPPORT        1
#define PAP_SUPPORT          0
#define CHAP_SUPPORT         1
#define MSCHAP_SUPPORT       1
#define MPPE_SUPPORT         1
#define VJ_SUPPORT           0
#define PPP_IPV6_SUPPORT     0
#define PPP_DEBUG            LWIP_DBG_ON
#define LWIP_DEBUG           1
#define PRINTPKT_SUPPORT     1
#define PPP_MAXIDLEFLAG      0

#endif
