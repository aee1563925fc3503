// Sends requests to two hosts, one of which is dead: example DEAD:PORT,ALIVE:PORT [https]
#include <iostream>

#include "droplet.hpp"

// Reads a reply to its end, which the Content-Length gives.
static std::string body_of_reply(droplet::Connection &connection) {
    char buffer[4096];
    std::string reply;

    for (;;) {
        std::string_view some = connection.read(buffer, sizeof buffer);
        if (some.empty())
            throw std::runtime_error("half a reply");
        reply += some;
        size_t end = reply.find("\r\n\r\n"), length = reply.find("Content-Length: ");
        if (end == std::string::npos || length > end)
            continue;
        std::string body = reply.substr(end + 4);
        if (body.size() >= std::stoul(reply.substr(length + 16)))
            return body;
    }
}

static void get(droplet::Context &context) {
    droplet::Connection connection = context.connect();

    connection.write("GET / HTTP/1.1\r\nHost: example\r\n\r\n");
    std::string body = body_of_reply(connection);
    connection.reply_complete();
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
