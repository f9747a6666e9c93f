#!/bin/sh
# socat as a relay of connections. http://www.dest-unreach.org/socat/doc/socat.html
#   -b  bytes of one read and write; 8192 by default, which is slow for bulk data
#   fork gives each connection its process
exec socat -b 1048576 TCP4-LISTEN:8080,bind=10.77.1.1,reuseaddr,fork,nodelay TCP4:10.77.2.2:80,nodelay
