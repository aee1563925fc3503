// droplet-conn for C++: contexts and connections with destructors, errors as exceptions.
#pragma once

#include <droplet_conn.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace droplet {

struct Error : std::runtime_error {
    Error() : std::runtime_error(dplx_last_error()) {}
};

inline void check(bool good) {
    if (!good)
        throw Error();
}

template <auto function>
struct With {
    template <typename T>
    void operator()(T *pointer) const {
        function(pointer);
    }
};

// A connection. Its destructor gives it back; it is pooled if its reply was read to its end.
class Connection {
  public:
    explicit Connection(dpl_conn_t *connection) : connection(connection) {}

    // Returns the status of the reply to the last request.
    int status(int timeout_ms = 5000) {
        int status = dplx_reply_status(connection.get(), timeout_ms);
        check(status >= 0);
        return status;
    }

    // Returns a field of the reply; NULL if there is none.
    const char *field(const char *name, unsigned index = 0) {
        return dplx_reply_field(connection.get(), name, index);
    }

    // Returns some of the reply's body; empty at its end.
    std::string_view read_reply(char *buffer, size_t size, int timeout_ms = 5000) {
        ssize_t count = dplx_reply_read(connection.get(), buffer, size, timeout_ms);
        check(count >= 0);
        return {buffer, static_cast<size_t>(count)};
    }

    void write(std::string_view data, int timeout_ms = 5000) {
        check(dplx_conn_write(connection.get(), data.data(), data.size(), timeout_ms) == DPL_SUCCESS);
    }

    dplx_conn_info_t info() {
        dplx_conn_info_t info{};
        info.size = sizeof info;
        check(dplx_conn_info(connection.get(), &info) == DPL_SUCCESS);
        return info;
    }

  private:
    std::unique_ptr<dpl_conn_t, With<dpl_conn_release>> connection;
};

class Context {
  public:
    explicit Context(const std::string &profile) : context(dplx_ctx_new(profile.c_str())) {
        check(context != nullptr);
    }

    Connection connect(int milliseconds = 5000) {
        dpl_conn_t *connection = dplx_connect(context.get(), milliseconds);
        check(connection != nullptr);
        return Connection(connection);
    }

    dplx_pool_stats_t statistics() {
        dplx_pool_stats_t statistics{};
        statistics.size = sizeof statistics;
        check(dplx_pool_stats(context.get(), &statistics) == DPL_SUCCESS);
        return statistics;
    }

  private:
    std::unique_ptr<dpl_ctx_t, With<dplx_ctx_free>> context;
};

} // namespace droplet
