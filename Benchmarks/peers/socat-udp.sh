#!/bin/sh
# socat as a relay of datagrams. http://www.dest-unreach.org/socat/doc/socat.html
#   -u  one direction only, which leaves out a second pair of descriptors to wait for
#   UDP4-RECV takes from any sender and never answers; UDP4-SENDTO is the unconnected counterpart
exec socat -u -b 65536 UDP4-RECV:5004,bind=10.77.1.1,rcvbuf=8388608 UDP4-SENDTO:10.77.2.2:6000,sndbuf=8388608
