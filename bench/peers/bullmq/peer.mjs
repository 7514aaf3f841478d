// BullMQ, for `make bench-peers`: see ../README.md for the three verbs.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const CHUNK = 1000;
// Redis does the work of a job; what is on its way at once is what keeps it busy.
const CONCURRENCY = 100;
// One idempotent decrement: KEYS counter; the id of the job.
const JOB = `
if redis.call('SET', ARGV[1], 1, 'NX', 'EX', 86400) then return redis.call('DECR', KEYS[1]) end`;

const [verb, socket, ...numbers] = process.argv.slice(2);
const [count, rate] = numbers.map(Number);
const connection = { path: socket, maxRetriesPerRequest: null };
const options = { removeOnComplete: true, removeOnFail: true };

const now = () => performance.timeOrigin + performance.now();
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const id = (n) => `${String(n).padStart(8, '0')}-0000-7000-8000-000000000000`;

/** Works until it is ended; tells `done` of each job. */
async function work(done) {
  const queue = new Queue('jobs', { connection });
  const redis = new Redis(connection);
  redis.defineCommand('decrement', { numberOfKeys: 1, lua: JOB });
  const handle = async (job) => {
    await redis.decrement('counter', job.data.id);
    done(job.data);
  };
  const worker = new Worker('jobs', handle, { connection, concurrency: CONCURRENCY });
  return { queue, redis, worker };
}

if (verb === 'load') {
  const queue = new Queue('jobs', { connection });
  for (let first = 0; first < count; first += CHUNK) {
    const chunk = Array.from({ length: Math.min(CHUNK, count - first) }, (_, n) => first + n);
    await queue.addBulk(chunk.map((n) => ({ name: 'decrement', data: { id: id(n) }, opts: options })));
  }
  await queue.close();
} else if (verb === 'drain') {
  await work(() => {});
} else if (verb === 'latency') {
  const took = [];
  const { queue, redis, worker } = await work((data) => took.push(now() - data.sent));
  const begun = now();
  for (let n = 0; n < count; n += 1) {
    const due = begun + (n * 1000) / rate;
    if (due > now()) await sleep(due - now());
    await queue.add('decrement', { id: id(n), sent: now() }, options);
  }
  while (took.length < count) await sleep(10);
  await worker.close();
  await queue.close();
  redis.disconnect();
  // The first tenth warms up.
  const sorted = took.slice(count / 10).sort((one, other) => one - other);
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))].toFixed(3);
  console.log(`${at(0.5)} ${at(0.99)}`);
} else {
  console.error('usage: peer.mjs load|drain|latency SOCKET [JOBS [JOBS-A-SECOND]]');
  process.exit(2);
}
