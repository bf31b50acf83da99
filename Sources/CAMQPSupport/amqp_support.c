#include "amqp_support.h"

amqp_rpc_reply_t amqp_support_login(amqp_connection_state_t connection, const char *virtual_host, int channel_max,
                                    int frame_max, int heartbeat, const amqp_table_t *properties, const char *user,
                                    const char *password) {
    return amqp_login_with_properties(connection, virtual_host, channel_max, frame_max, heartbeat, properties,
                                      AMQP_SASL_METHOD_PLAIN, user, password);
}
