#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A translated TCP connection from a tunnel client to the WAN side, idle while the gateway dies and the
# client redials, goes on: conntrackd has brought its entry to the other gateway.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
far=198.18.0.77

# entry NODE: the connection in its kernel
entry() {
	on "$1" conntrack -L -p tcp --orig-src 10.8.0.10 --orig-dst $far 2>/dev/null
}
# say WORD: through the client's connection; the far end answers with the word and whom it sees
say() {
	"$realclient" exec "echo $1 >/tmp/in; n=0; while [ \$n -lt 30 ] && ! grep -q '^$1 ' /tmp/out; do sleep 0.1; n=\$((n + 1)); done; grep '^$1 ' /tmp/out"
}

need_lab
cat >"$scratch/far.py" <<'EOF'
import socketserver

class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.strip() + " {} {}\n".format(*self.client_address).encode())

socketserver.TCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("198.18.0.77", 9000), Echo).serve_forever()
EOF
"$lab" exec client python3 "$scratch/far.py" 2>"$scratch/far.err" &
background+=($!)
check "the client starts" "$realclient" start
check_eq "it connects" "$("$realclient" connect --route $far/32 | jq -r .address)" 10.8.0.10
"$realclient" exec "mkfifo /tmp/in; (sleep 600 >/tmp/in) >/dev/null 2>&1 </dev/null & (nc $far 9000 </tmp/in >/tmp/out 2>/tmp/err) >/dev/null 2>&1 </dev/null &"
first=$(say one)
check_match "a TCP connection to the WAN side, translated to the virtual address" "$first" '^one 198.51.100.10 [0-9]+$'
check_match "gw1's kernel has it" "$(entry gw1)" 'ESTABLISHED src=10.8.0.10 dst=198.18.0.77'
check "conntrackd has told gw2" wait_for 5 eval \
    'on gw2 conntrackd -C "$(root gw2)/etc/pptp-ha/conntrackd.conf" -e | grep -q "src=10.8.0.10 dst=198.18.0.77"'
check_eq "gw2's kernel does not have it yet" "$(entry gw2)" ""
fault gw1 power
check "gw1 loses its power: gw2 serves" wait_for 10 is_role gw2 "MASTER active vip"
taken=$(entry gw2)
check_match "gw2's kernel has the connection now" "$taken" 'ESTABLISHED src=10.8.0.10 dst=198.18.0.77.*dst=198.51.100.10'
note "conntrack -L on gw2: $taken"
"$realclient" disconnect >/dev/null
check_eq "the client redials and has its address again" "$("$realclient" connect --route $far/32 | jq -r .address)" 10.8.0.10
check_eq "the connection goes on, with the same translated port" "$(say two)" "two ${first#one }"
"$lab" heal gw1
check "healed, gw1 stands by" wait_for 15 settled gw2
check_eq "and the connection goes on" "$(say three)" "three ${first#one }"
check_eq "nc has seen no error" "$("$realclient" exec 'cat /tmp/err')" ""
for node in gw1 gw2; do
	check_fails "$node asks its conntrackd over the socket" grep -q 'conntrackd is asked by its program' "$(root $node)/var/log/agent.log"
done
