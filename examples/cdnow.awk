# Turns a purchase log (customer,date,units,dollars) into jobs for `tollgate-producer enqueue`.
#
#   awk -f examples/cdnow.awk examples/data/cdnow_sample.csv | tollgate-producer enqueue
#
# Row n becomes a withdrawal `cdnow-<n>-w` from its customer's account and a redemption `cdnow-<n>-r` of one
# campaign. Before them come the campaign, which has a coupon for every row, and an account for every customer,
# on which lies exactly what that customer spends: when all is settled every account is at 0.
# A row of 0.00 stays an amount of 0, which is refused by name (amount_zero).
BEGIN { FS = "," }

{ sub(/\r$/, "") }

NR == 1 {
  if ($0 != "customer,date,units,dollars") fail("the header is not customer,date,units,dollars")
  next
}

NF != 4 || $1 !~ /^[0-9]+$/ || $4 !~ /^[0-9]+\.[0-9][0-9]$/ { fail("not a row of customer,date,units,dollars") }

{
  rows++
  customer[rows] = $1
  cents[rows] = $4
  sub(/\./, "", cents[rows])
  cents[rows] += 0
  if (!($1 in balance)) order[++customers] = $1
  balance[$1] += cents[rows]
}

END {
  if (failed) exit 1
  printf "{\"kind\":\"campaign_create\",\"campaign\":\"cdnow\",\"limit\":%d}\n", rows
  for (c = 1; c <= customers; c++) {
    printf "{\"kind\":\"account_open\",\"account\":\"cdnow-%s\",\"balance\":%d}\n", order[c], balance[order[c]]
  }
  for (n = 1; n <= rows; n++) {
    printf "{\"kind\":\"withdraw\",\"id\":\"cdnow-%d-w\",\"account\":\"cdnow-%s\",\"amount\":%d}\n", n, customer[n], cents[n]
    printf "{\"kind\":\"redeem\",\"id\":\"cdnow-%d-r\",\"campaign\":\"cdnow\",\"customer\":\"%s\"}\n", n, customer[n]
  }
}

function fail(what) {
  printf "%s line %d: %s: %s\n", FILENAME, NR, what, $0 > "/dev/stderr"
  failed = 1
  exit 1
}
