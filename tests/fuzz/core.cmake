syncbus_fuzz_target(fuzz_core core)
# The simulator's judges of leases and of the ledger, and its disk, beside the core.
syncbus_fuzz_target(fuzz_bus core io)
target_sources(fuzz_bus PRIVATE bus/broker.c bus/stand_in.c ${CMAKE_SOURCE_DIR}/broker/settings.c
               ${CMAKE_SOURCE_DIR}/tests/sim/leases.c ${CMAKE_SOURCE_DIR}/tests/sim/wishes.c
               ${CMAKE_SOURCE_DIR}/tests/sim/ledger.c
               ${CMAKE_SOURCE_DIR}/tests/sim/disk.c)
