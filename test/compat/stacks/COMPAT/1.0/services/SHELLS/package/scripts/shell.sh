# Every argument on a line of its own, the empty ones too.
printf '<%s>\n' "$@"
