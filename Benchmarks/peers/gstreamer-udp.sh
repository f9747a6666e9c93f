#!/bin/sh
# GStreamer as a relay of datagrams: the elements that live pipelines begin and end with.
# https://gstreamer.freedesktop.org/documentation/udp/udpsrc.html, udpsink.html
#   buffer-size: of the socket's queue, to be raised for high rates
#   sync=false async=false: datagrams are sent as they come, not by the clock of the pipeline
exec gst-launch-1.0 -q udpsrc address=10.77.1.1 port=5004 buffer-size=8388608 ! \
    udpsink host=10.77.2.2 port=6000 buffer-size=8388608 sync=false async=false
