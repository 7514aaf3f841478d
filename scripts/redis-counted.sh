#!/bin/sh
# A redis-server whose instructions are counted, from when `callgrind_control --instr=on` says so. What was counted is
# written to callgrind.out.* in its directory of data. Give this file to Tollgate as TOLLGATE_REDIS_SERVER.
exec valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file=callgrind.out --quiet \
  "${COUNTED_REDIS_SERVER:-redis-server}" "$@"
