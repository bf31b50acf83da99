#pragma once

#include <amqp.h>

/// `amqp_login_with_properties` with the PLAIN mechanism: that function takes a variable number of arguments, which
/// Swift cannot call.
amqp_rpc_reply_t amqp_support_login(amqp_connection_state_t connection, const char *virtual_host, int channel_max,
                                    int frame_max, int heartbeat, const amqp_table_t *properties, const char *user,
                                    const char *password);
