# What the broker's shell does with what comes over its sockets, before the core sees it.
syncbus_fuzz_target(fuzz_frames wire)
target_sources(fuzz_frames PRIVATE ${CMAKE_SOURCE_DIR}/broker/envelope.c ${CMAKE_SOURCE_DIR}/broker/peers.c
               ${CMAKE_SOURCE_DIR}/broker/subscriptions.c)
# What lies in the journal, and a start with it.
syncbus_fuzz_target(fuzz_stored core)
target_sources(fuzz_stored PRIVATE ${CMAKE_SOURCE_DIR}/broker/stored.c)
