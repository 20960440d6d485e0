syncbus_fuzz_target(fuzz_config io)
