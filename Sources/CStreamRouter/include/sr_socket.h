// Datagram sockets of engine process: batched calls and control messages.
// A shim because Swift imports neither recvmmsg's GNU declaration nor the CMSG macros.
#ifndef SR_SOCKET_H
#define SR_SOCKET_H

#endif
