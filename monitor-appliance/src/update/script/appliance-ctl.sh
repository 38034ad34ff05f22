#!/bin/sh
# appliance-ctl: what an install script may ask of the installer. PACKAGES.md describes it.
# A request is a file with one word per line; the answer is a file with the exit code in its first line.
set -u
desk=$(dirname "$0")/../desk
name=$$-$(date +%s%N)
for word in "$@"; do printf '%s\n' "$word"; done >"$desk/$name.new" && mv "$desk/$name.new" "$desk/$name.ask" || exit 69
until [ -e "$desk/$name.answer" ]; do sleep 0.05; done
{
    read -r code
    cat
} <"$desk/$name.answer"
rm -f "$desk/$name.answer"
exit "$code"
