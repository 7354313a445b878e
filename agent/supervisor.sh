#!/bin/sh
# Runs one step of a command and records its start and its end, so that the agent may die and come back meanwhile.
#
#   sh supervisor.sh RECORD COMMAND [ARGUMENT…]
#   sh supervisor.sh
#
# The second waits until its input tells what to run, in one line of words that are quoted for a shell, where $hd_lf
# stands for a line feed:
#
#   RECORD STDOUT STDERR [NAME=VALUE…] -- COMMAND [ARGUMENT…]
#
# It appends to those two files, which are there, and adds those variables. An input that ends before the line does ends it: nothing runs.
#
# RECORD is created exclusively before COMMAND runs: whoever creates it is the only one that ever runs this step.
# Its first line is the start record: pid, start time of this shell (clock ticks after boot), boot id, seconds since
# boot. Its second line is room for the exit record, taken before COMMAND runs so that a full disk can't lose it, and
# filled in by one write: exit code (128 + n for signal n), seconds since boot, "end".
#
# Exits 0 once COMMAND has ended, however; 75 when the step has started before; 74 when RECORD can't be written. In the
# last two cases COMMAND has not run. Needs nothing but a POSIX shell. Its variables are named so that none is COMMAND's.

# Caught, not ignored: this shell outlives a signal to the group, and the command gets the default action back.
trap : HUP INT QUIT TERM USR1 USR2

hd_field_20() {
  shift 19
  hd_start_time=$1
}
read -r hd_boot_id </proc/sys/kernel/random/boot_id
# Field 22 of the line is the 20th after the name, which may itself hold spaces and parentheses.
read -r hd_stat </proc/self/stat
# shellcheck disable=SC2086
hd_field_20 ${hd_stat##*) }

if [ $# -eq 0 ]; then
  # shellcheck disable=SC2034
  hd_lf='
'
  IFS= read -r hd_words || exit 0
  eval "set -- $hd_words"
  hd_record=$1
  exec </dev/null >>"$2" 2>>"$3" || exit 73
  shift 3
  while [ "$1" != -- ]; do
    # shellcheck disable=SC2163
    export "$1"
    shift
  done
else
  hd_record=$1
fi
shift

read -r hd_uptime _ </proc/uptime
hd_start="$$ $hd_start_time $hd_boot_id $hd_uptime"
exec 3>&2
set -C
hd_opened=
hd_written=
{
  hd_opened=1
  printf '%s\n%63s\n' "$hd_start" '' && hd_written=1
} 2>/dev/null >"$hd_record"
if [ -z "$hd_opened" ] && [ -e "$hd_record" ]; then exit 75; fi
if [ -z "$hd_written" ]; then
  echo "cannot write $hd_record: is the disk full?" >&2
  exit 74
fi

# Its own stderr goes nowhere from here on, for shells remark there on the signal that ended a command.
exec 2>/dev/null
# exec in a subshell: never a builtin of this shell, and no job control's ignored signals as with "&".
(exec "$@" 2>&3 3>&-)
hd_code=$?

read -r hd_uptime _ </proc/uptime
printf '%s\n%s %s end\n' "$hd_start" "$hd_code" "$hd_uptime" 1<>"$hd_record"
exit 0
