// Sends requests to two hosts, one of which is dead: example DEAD:PORT,ALIVE:PORT [https]
#include <iostream>

#include "droplet.hpp"

// Reads the body of a reply to its end.
static std::string body_of_reply(droplet::Connection &connection) {
    char buffer[4096];
    std::string body;

    for (std::string_view some; !(some = connection.read_reply(buffer, sizeof buffer)).empty();)
        body += some;
    return body;
}

static void get(droplet::Context &context) {
    droplet::Connection connection = context.connect();

    connection.write("GET / HTTP/1.1\r\nHost: example\r\n\r\n");
    std::string body = body_of_reply(connection);
    dplx_conn_info_t info = connection.info();
    std::cout << body.substr(0, body.find('\n')) << " from " << info.peer << ", reused " << info.reused << " times\n";
}

int main(int argc, char **argv) {
    std::string hosts = argv[1], https = argc > 2 ? "use_https = true\n" : "";
    droplet::Context context(https + "host = " + hosts);

    get(context);
    get(context);
    dplx_pool_stats_t now = context.statistics();
    std::cout << "created " << now.created << ", reused " << now.reused << ", idle " << now.idle << '\n';

    droplet::Context dead(https + "host = " + hosts.substr(0, hosts.find(',')));
    try {
        get(dead);
    } catch (const droplet::Error &error) {
        std::cout << "error: " << error.what() << '\n';
    }
}
