#!/bin/sh
# Which of Droplet's names are defined here, by unit: the table in docs/compatibility.md, which --write brings
# up to date.
set -eu
cd "$(dirname "$0")/.."
# The units that libdroplet.so.0 has something of, by name; then all others in one line.
table() {
    awk -F '\t' '
        BEGIN { print "| unit | Droplet | `libdroplet.so.0` | `libdroplet_conn` |\n| --- | ---: | ---: | ---: |" }
        FILENAME == "exports.txt" { connections[$1] = 1; next }
        FILENAME == "exports-standalone.txt" { rest[$1] = 1; next }
        /^#/ { next }
        {
            if (!($1 in all)) units[++n] = $1
            all[$1]++; in_connections[$1] += $2 in connections
            covered[$1] += $2 in connections || $2 in rest
        }
        function row(name, droplet, standalone, conn) {
            printf "| %s | %d | %s | %s |\n", name, droplet, standalone, conn ? conn : ""
        }
        END {
            for (i = 1; i <= n; i++) {
                unit = units[i]
                a += all[unit]; c += covered[unit]; k += in_connections[unit]
                if (covered[unit]) row(unit, all[unit], covered[unit], in_connections[unit])
                else { others++; left += all[unit] }
            }
            row(others " others", left, 0, 0)
            row("**all**", a, c, k)
        }' exports.txt exports-standalone.txt scripts/droplet-symbols.tsv
}

if [ "${1:-}" = --write ]; then
    table | sed -i -e '/^| unit | Droplet | /,/^| \*\*all\*\* /{/^| \*\*all\*\* /r /dev/stdin
d}' docs/compatibility.md
else
    table
fi
