# What an ERP may send, and what lies in a store. The first byte of each input chooses the dialect.
foreach(TARGET fuzz_csv fuzz_json fuzz_record)
  syncbus_fuzz_target(${TARGET} sync_data)
endforeach()
syncbus_fuzz_target(fuzz_answer sync_fetch)
# The path to the records, as a config says it.
syncbus_fuzz_target(fuzz_json_path base)
