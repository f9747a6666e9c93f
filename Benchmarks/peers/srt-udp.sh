#!/bin/sh
# srt-live-transmit as a relay of datagrams, UDP in and UDP out: SRT itself, with its latency buffer and its
# acknowledgements, needs an SRT peer at either end and would be slower than this.
# https://github.com/Haivision/srt/blob/master/docs/apps/srt-live-transmit.md
#   rcvbuf: its authors' remedy for rates above some 60 Mbit/s
#   -buffering: packets that are read in one go (10 by default)
exec srt-live-transmit -q -buffering:64 "udp://10.77.1.1:5004?rcvbuf=8388608" "udp://10.77.2.2:6000?sndbuf=8388608"
