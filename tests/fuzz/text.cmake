syncbus_fuzz_target(fuzz_text base io)
