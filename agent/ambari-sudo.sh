#!/bin/sh
# What scripts of Ambari stacks call for sudo, and find on their PATH. As root, which an agent mostly is, it runs the command itself, so
# that no sudo need be installed; otherwise it is sudo that never asks for a password.
#
#   ambari-sudo.sh [NAME=VALUE | OPTION]… COMMAND [ARGUMENT…]
#
# As root, of sudo's options -H (root's HOME), -E, -n, -S, -k and -- are understood; with any other, such as -u USER, sudo is called.

if [ "$(id -u)" -ne 0 ]; then
  exec sudo -n "$@"
fi

# Whether sudo itself is needed, and whether HOME is to be root's. Names with _, for what the environment has is handed on.
_home=
_command=
for _argument; do
  case $_argument in
    -H | --set-home | -HE | -EH) _home=1 ;;
    -E | -n | -S | -k | --preserve-env | --non-interactive) ;;
    --) break ;;
    -*) exec sudo "$@" ;;
    [A-Za-z_]*=*) ;;
    *) break ;;
  esac
done

# What is left, in its order, is what env takes: NAME=VALUE… COMMAND ARGUMENT…
_leading=1
_left=$#
while [ "$_left" -gt 0 ]; do
  _argument=$1
  shift
  _left=$((_left - 1))
  if [ -n "$_leading" ]; then
    case $_argument in
      --)
        _leading=
        continue
        ;;
      -*) continue ;;
      [A-Za-z_]*=*) ;;
      *) _leading= _command=1 ;;
    esac
  else
    _command=1
  fi
  set -- "$@" "$_argument"
done
if [ -z "$_command" ]; then
  echo 'usage: ambari-sudo.sh [NAME=VALUE | OPTION]… COMMAND [ARGUMENT…]' >&2
  exit 1
fi
if [ -n "$_home" ]; then
  while IFS=: read -r _name _ _ _ _ _folder _; do
    [ "$_name" = root ] || continue
    HOME=$_folder
    export HOME
    break
  done </etc/passwd
fi
exec env "$@"
