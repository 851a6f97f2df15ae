#!/usr/bin/env bash
# Sign a message as the service does, and send it: to try a receiver without the service. It needs curl and openssl.
#
#     CREDIT_RISK_WEBHOOK_SECRET=whsec_... bash send.sh [url] [id]
set -euo pipefail

url=${1:-http://127.0.0.1:8000}
id=${2:-msg_$(openssl rand -hex 8)}
timestamp=$(date +%s)
body='{"type":"job.succeeded","timestamp":"2026-07-01T12:00:00.000+00:00","data":{"id":"a job"}}'

# As hexadecimal digits, because the key may hold any byte. Other processes see it among openssl's arguments: try with a
# secret that is used for nothing else.
key=$(openssl base64 -d -A <<<"${CREDIT_RISK_WEBHOOK_SECRET#whsec_}" | od -An -v -tx1 | tr -d ' \n')
signature=$(printf '%s' "$id.$timestamp.$body" | openssl dgst -sha256 -mac hmac -macopt "hexkey:$key" -binary | openssl base64 -A)

curl --silent --show-error --include --max-time 15 "$url" --data-binary "$body" \
  --header 'Content-Type: application/json' --header "webhook-id: $id" --header "webhook-timestamp: $timestamp" \
  --header "webhook-signature: v1,$signature"
