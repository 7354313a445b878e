#!/bin/sh
# Runs one step of a command and records its start and its end, so that the agent may die and come back meanwhile.
#
#   sh supervisor.sh RECORD COMMAND [ARGUMENT…]
#
# RECORD is created exclusively before COMMAND runs: whoever creates it is the only one that ever runs this step.
# Its first line is the start record: pid, start time of this shell (clock ticks after boot), boot id, seconds since
# boot. Its second line is room for the exit record, taken before COMMAND runs so that a full disk can't lose it, and
# filled in by one write: exit code (128 + n for signal n), seconds since boot, "end".
#
# Exits 0 once COMMAND has ended, however; 75 when the step has started before; 74 when RECORD can't be written. In the
# last two cases COMMAND has not run. Needs nothing but a POSIX shell.
record=$1
shift

# Caught, not ignored: this shell outlives a signal to the group, and the command gets the default action back.
trap : HUP INT QUIT TERM USR1 USR2

field_20() {
  shift 19
  start_time=$1
}
read -r boot_id </proc/sys/kernel/random/boot_id
read -r stat </proc/self/stat
# Field 22 of the line is the 20th after the name, which may itself hold spaces and parentheses.
# shellcheck disable=SC2086
field_20 ${stat##*) }
read -r uptime _ </proc/uptime
start="$$ $start_time $boot_id $uptime"

exec 3>&2
set -C
opened=
written=
{
  opened=1
  printf '%s\n%63s\n' "$start" '' && written=1
} 2>/dev/null >"$record"
if [ -z "$opened" ] && [ -e "$record" ]; then exit 75; fi
if [ -z "$written" ]; then
  echo "cannot write $record: is the disk full?" >&2
  exit 74
fi

# Its own stderr goes nowhere from here on, for shells remark there on the signal that ended a command.
exec 2>/dev/null
# exec in a subshell: never a builtin of this shell, and no job control's ignored signals as with "&".
(exec "$@" 2>&3 3>&-)
code=$?

read -r uptime _ </proc/uptime
printf '%s\n%s %s end\n' "$start" "$code" "$uptime" 1<>"$record"
exit 0
