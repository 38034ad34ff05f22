# From the lines of a record: a table of the servers, one of the main job, and with figures=1 the figures of the bench.

function field(name,    at) {
    at = index($0, "\"" name "\":\"")
    if (!at) return ""
    at = substr($0, at + length(name) + 4)
    return substr(at, 1, index(at, "\"") - 1)
}
function add(list, word) { return index(", " list ",", ", " word ",") ? list : list (list == "" ? "" : ", ") word }
function verdict(key) { return !(key in tried) ? "-" : passed[key] == tried[key] ? "passed" : "FAILED" }

{
    server = field("server"); protocol = field("protocol"); guard = field("guard"); what = field("what"); outcome = field("outcome")
    key = server SUBSEP protocol SUBSEP guard; row = server SUBSEP protocol
    if (outcome == "tried") {
        all_tried++; tried[key]++
        if (!(key in seen)) { seen[key] = 1; groups[++n] = key }
        if (!(row in version)) { rows[++m] = row }
        version[row] = field("version")
    } else if (outcome == "passed") {
        all_passed++; passed[key]++
        if (what ~ /^login by /) { sub(/^login by /, "", what); logins[row] = add(logins[row], what) }
        else more[row] = add(more[row], what)
    }
}

END {
    print "| server | protocol | TLS | STARTTLS | logins besides the strongest offered | passed |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= m; i++) {
        split(rows[i], part, SUBSEP)
        if (part[2] == "job") continue
        printf "| %s | %s | %s | %s | %s | %s |\n", version[rows[i]], toupper(part[2]), verdict(rows[i] SUBSEP "tls"),
            verdict(rows[i] SUBSEP "starttls"), logins[rows[i]] == "" ? "-" : logins[rows[i]], more[rows[i]]
    }
    print ""
    print "| SMTP, store | protection | by the real programs |"
    print "|---|---|---|"
    for (i = 1; i <= n; i++) {
        split(groups[i], part, SUBSEP)
        if (part[2] != "job") continue
        printf "| %s | %s | %s: %s |\n", part[1], toupper(part[3]), verdict(groups[i]), more[part[1] SUBSEP "job"]
    }
    print ""
    printf "%d checks tried, %d passed.\n", all_tried, all_passed
    if (figures == "") exit
    for (i = 1; i <= n; i++) {
        split(groups[i], part, SUBSEP)
        name = part[1] "_" part[2] "_" part[3]; gsub(/, /, "_", name)
        printf "{\"bench\":\"servers\",\"figure\":\"%s\",\"value\":%d,\"unit\":\"1: all %d checks passed\",\"against\":\"%s\"}\n", name,
            passed[groups[i]] == tried[groups[i]], tried[groups[i]], version[part[1] SUBSEP part[2]] == "" ? "the real programs" : version[part[1] SUBSEP part[2]]
    }
    printf "{\"bench\":\"servers\",\"figure\":\"passed\",\"value\":%d,\"unit\":\"checks\",\"against\":\"limit: all tried\"}\n", all_passed
    printf "{\"bench\":\"servers\",\"figure\":\"tried\",\"value\":%d,\"unit\":\"checks\",\"against\":\"each server, protocol, protection and login\"}\n", all_tried
}
