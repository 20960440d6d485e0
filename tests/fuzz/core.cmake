syncbus_fuzz_target(fuzz_core core)
