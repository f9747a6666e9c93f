// A message over SCTP within the guest: the protocol is not only loaded, it carries. What the machines that
// build this project lack (CONFIG_IP_SCTP), so that a relay for it can be tested here.
//   vm: guest=module seconds=60

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    int server = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    if (server < 0) {
        printf("not ok socket: %s\n", strerror(errno));
        return 1;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 1) ||
        getsockname(server, (struct sockaddr *)&address, &length)) {
        printf("not ok listen: %s\n", strerror(errno));
        return 1;
    }
    fflush(stdout);
    pid_t client = fork();
    if (client == 0) {
        int out = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
        if (out < 0 || connect(out, (struct sockaddr *)&address, sizeof address))
            return 1;
        for (int n = 0; n < 100; n++) {
            char text[16];
            int size = snprintf(text, sizeof text, "message %03d", n);
            if (send(out, text, size, 0) != size)
                return 1;
        }
        return close(out) != 0;
    }
    int connection = accept(server, NULL, NULL), arrived = 0, wrong = 0;
    char text[64];
    ssize_t size;
    // Each message comes as one, in order: SCTP keeps their borders.
    while ((size = recv(connection, text, sizeof text - 1, 0)) > 0) {
        char expected[32];
        text[size] = 0;
        snprintf(expected, sizeof expected, "message %03d", arrived++);
        wrong += strcmp(text, expected) != 0;
    }
    int status = 0;
    waitpid(client, &status, 0);
    int good = status == 0 && arrived == 100 && wrong == 0;
    printf("%sok sctp: %d of 100 messages, %d wrong, client %d\n", good ? "" : "not ", arrived, wrong,
           status);
    // Without the protocol's number there is no such socket, so the above was SCTP.
    int none = socket(AF_INET, SOCK_STREAM, 254);
    printf("%sok a protocol that is not there: %s\n", none < 0 ? "" : "not ",
           none < 0 ? strerror(errno) : "opened");
    return !(good && none < 0);
}
