# Turns a purchase log (customer,date,units,dollars) into a shop: what it has in stock, and the orders for it.
#
#   awk -f examples/shop.awk -v want=items examples/data/cdnow_sample.csv > items.csv
#   awk -f examples/shop.awk examples/data/cdnow_sample.csv | tollgate-producer enqueue
#
# The log names no articles, so the price of a unit in whole dollars is one: `cd-14` costs 14.00 to 14.99. All rows of a
# customer on one day are one order, `shop-<customer>-<date>`, with a line for each row; the quantities are those of the
# log. In stock is half of what is asked for of each article, rounded up.
BEGIN { FS = "," }

{ sub(/\r$/, "") }

NR == 1 {
  if ($0 != "customer,date,units,dollars") fail("the header is not customer,date,units,dollars")
  next
}

NF != 4 || $1 !~ /^[0-9]+$/ || $2 !~ /^[0-9-]+$/ || $3 !~ /^[1-9][0-9]*$/ || $4 !~ /^[0-9]+\.[0-9][0-9]$/ {
  fail("not a row of customer,date,units,dollars")
}

{
  item = "cd-" int($4 / $3)
  if (!(item in asked)) items[++item_count] = item
  asked[item] += $3
  order = $1 "-" $2
  if (!(order in lines)) { orders[++order_count] = order; customer[order] = $1 }
  lines[order] = lines[order] (lines[order] == "" ? "" : ",") sprintf("{\"item\":\"%s\",\"quantity\":%d}", item, $3)
}

END {
  if (failed) exit 1
  if (want == "items") {
    print "item,quantity"
    for (n = 1; n <= item_count; n++) printf "%s,%d\n", items[n], int((asked[items[n]] + 1) / 2)
    exit
  }
  for (n = 1; n <= order_count; n++) {
    printf "{\"kind\":\"purchase\",\"id\":\"shop-%s\",\"inventory\":\"shop\",\"customer\":\"%s\",\"lines\":[%s]}\n", orders[n], customer[orders[n]], lines[orders[n]]
  }
}

function fail(what) {
  printf "%s line %d: %s: %s\n", FILENAME, NR, what, $0 > "/dev/stderr"
  failed = 1
  exit 1
}
