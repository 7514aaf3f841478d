/**
 * Redeems a coupon and waits for the outcome:  node redeem.ts CAMPAIGN CUSTOMER ID
 *
 * Prints the outcome as JSON. Exit code 0: applied; 1: refused, dead or expired; 4: unknown, or not decided
 * within 30 seconds.
 * REDIS_URL and TOLLGATE_NAMESPACE say where, as for Tollgate's own programs; TOLLGATE_LOOKUP is the path of lookup.lua.
 */

import { createClient, type RedisClientType } from 'redis';
import { Tollgate, isFinal, type Job } from './tollgate.ts';

const [campaign, customer, id] = process.argv.slice(2);
if (!campaign || !customer || !id) {
  console.error('usage: node redeem.ts CAMPAIGN CUSTOMER ID');
  process.exit(2);
}
// A service would keep its connection and let the client reconnect; a command gives up at once.
const client = createClient({
  url: process.env.REDIS_URL,
  socket: { reconnectStrategy: false, connectTimeout: 30_000 },
  maintNotifications: 'disabled',
}) as RedisClientType;
client.on('error', () => {}); // Each call throws it as well.

// The id comes from what causes the job, an order number say, so that a repeat is the same job.
const job: Job = { kind: 'redeem', id, campaign, customer };
try {
  await client.connect();
  const lookup = process.env.TOLLGATE_LOOKUP || 'docs/lookup.lua';
  const tollgate = await Tollgate.open(client, lookup, process.env.TOLLGATE_NAMESPACE || undefined);
  await tollgate.send(job);
  const outcome = await tollgate.wait(job, 30_000);
  console.log(JSON.stringify({ id, ...outcome }));
  process.exitCode = !isFinal(outcome) ? 4 : outcome.class === 'applied' ? 0 : 1;
} catch (error) {
  // It may be on its way or not: only Redis knows.
  console.error(`unknown: ${(error as Error).message}; the same command again is safe`);
  process.exitCode = 4;
} finally {
  client.destroy();
}
