#!/bin/sh
# What the load runs on hosts: sh command.sh SECONDS LINES EXIT
#
# Before anything else it writes down, by O_APPEND, that it runs: "start TASK STEP UPTIME PID". Then it prints LINES lines,
# "NUMBER TASK" each with the number in eight digits, half of them before it sleeps SECONDS and half after, and writes down
# "end TASK STEP UPTIME EXIT LINES" with "?" for the lines when one could not be written. Exits with EXIT.
read -r uptime _ </proc/uptime
printf 'start %s %s %s %s\n' "$HOWDAH_TASK" "${HOWDAH_STEP:-?}" "$uptime" "$$" >>"$HOWDAH_SCRIPT_LOG" || exit 97
half=$(($2 / 2))
lines=$2
seq -f "%08.0f $HOWDAH_TASK" 1 "$half" || lines=?
sleep "$1"
seq -f "%08.0f $HOWDAH_TASK" $((half + 1)) "$2" || lines=?
read -r uptime _ </proc/uptime
printf 'end %s %s %s %s %s\n' "$HOWDAH_TASK" "${HOWDAH_STEP:-?}" "$uptime" "$3" "$lines" >>"$HOWDAH_SCRIPT_LOG"
exit "$3"
