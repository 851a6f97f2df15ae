#!/usr/bin/env bash
# Decide one credit application over HTTP: a caller to copy. It needs bash and curl.
#
#     bash client.sh [application.json]
#
# The exit status is 0 when it is decided, 1 when it is refused for good, and 2 when the caller gives up.
set -euo pipefail

url=${CREDIT_RISK_URL:-http://localhost:3000}
application=${1:-application.json}
backoffs_ms=(500 1000 2000) # the least wait before each further attempt
total_ms=30000              # after which no attempt begins

say() { printf '%s\n' "$*" >&2; }

# Print the headers for curl to read: a token among curl's arguments would show in the list of processes.
headers() {
  printf '%s\n' "Content-Type: application/json" "X-Request-Id: $request_id"
  [[ -z ${CREDIT_RISK_TOKEN:-} ]] || printf '%s\n' "Authorization: Bearer $CREDIT_RISK_TOKEN"
}

# Ask once, and set status (000 without an answer), body, message and retry_after (seconds).
# curl has a --retry of its own, which has no jitter and repeats what ends in 408.
ask() {
  local answer head failure=0
  status=000 retry_after=0 message="The service did not answer."
  answer=$(curl --silent --show-error --include --suppress-connect-headers --connect-timeout 2 --max-time 5 \
    --header @<(headers) --data-binary "@$application" "${url%/}/classify") || failure=$?
  case $failure in
    0) ;;
    6 | 7 | 18 | 28 | 35 | 52 | 55 | 56) return ;; # no such host, refused, reset, too late
    *) exit 1 ;; # curl has said why: the URL is wrong
  esac
  head=${answer%%$'\r\n\r\n'*} body=${answer#*$'\r\n\r\n'}
  read -r _ status _ <<<"$head"
  message="The service answered $status."
  # Without seconds (a proxy may send a date, or nothing) the backoff counts.
  if [[ $head =~ $'\n'[Rr]etry-[Aa]fter:\ *([0-9]{1,9}) ]]; then retry_after=${BASH_REMATCH[1]}; fi
  # bash reads no JSON, and these patterns stop at an escaped quote: if you have jq, use it.
  if [[ $body =~ \"error\":\"([^\"]*)\" ]]; then message="The service answered $status (${BASH_REMATCH[1]})."; fi
}

# Print, as "PREFIX first: second", all that fits a pattern of two groups: list PREFIX PATTERN TEXT.
list() {
  local rest=$3
  while [[ $rest =~ $2(.*) ]]; do
    rest=${BASH_REMATCH[3]}
    echo "$1 ${BASH_REMATCH[1]:-application}: ${BASH_REMATCH[2]}"
  done
}

# The service puts this id on record with the decision, and into its answer. Keep it: support and traces find the
# request by it, also when no answer came.
request_id=$(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid)
say "Request $request_id"
if [[ ! -r $application ]]; then say "$application can't be read."; exit 1; fi # curl would send an empty body

for backoff_ms in "${backoffs_ms[@]}" last; do
  ask
  case $status in
    200) break ;;
    400)
      say "$message"
      list - '"loc":\["?([^]"]*)"?\],"msg":"([^"]*)"' "$body" >&2
      exit 1 ;;
    401) say "$message Set CREDIT_RISK_TOKEN to a token that the service knows."; exit 1 ;;
    # Without an answer, and with 500 and 504, the service may have decided, and the decision be on record. Asking
    # again gives the same decision and another record, with the same request id.
    000 | 429 | 5??) ;;
    # 408, 413 and 431: the request is too slow or too large; 404 and others: the URL is wrong
    *) say "$message"; exit 1 ;;
  esac
  if [[ $backoff_ms == last ]]; then say "$message Gave up."; exit 2; fi
  wait_ms=$((10#$retry_after * 1000 > backoff_ms ? 10#$retry_after * 1000 : backoff_ms))
  wait_ms=$((wait_ms + wait_ms * RANDOM / 32768)) # the jitter keeps callers that failed together apart
  if ((SECONDS * 1000 + wait_ms > total_ms)); then say "$message Gave up."; exit 2; fi
  wait=$((wait_ms / 1000)).$(printf '%03d' $((wait_ms % 1000)))
  say "$message Trying again in $wait s."
  sleep "$wait"
done

[[ $body =~ \"Status\":\"([^\"]*)\",\"probability_of_default\":([0-9.e-]*) ]]
echo "${BASH_REMATCH[1]}, with a probability of default of ${BASH_REMATCH[2]}"
[[ $body =~ \"reasons\":\[([^]]*)\] ]]
list Reason '"code":"([^"]*)","text":"([^"]*)"' "${BASH_REMATCH[1]}"
[[ $body =~ \"decision_id\":\"([^\"]*)\" ]]
echo "Decision ${BASH_REMATCH[1]}"
