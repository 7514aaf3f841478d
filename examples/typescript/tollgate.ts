/**
 * Send Tollgate a job and learn what became of it, from TypeScript. To copy; it needs the package `redis`.
 *
 * What it may rely on is in docs/protocol.md. It writes with one command, XADD, takes no lock, and everything in it may
 * be repeated: an id has one effect, however often it is sent.
 */

import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisClientType } from 'redis';

export type Job = { id: string; at?: string } & (
  | { kind: 'redeem'; campaign: string; customer: string; quantity?: number }
  | { kind: 'withdraw'; account: string; amount: number; currency?: string; destination?: string }
);

export type Outcome = {
  class: 'applied' | 'refused' | 'pending' | 'dead' | 'expired' | 'not_decided';
  code: string | null;
  seq: number | null;
};

const APPLIED = ['redeemed', 'withdrawn', 'transferred', 'purchased', 'reserved', 'committed', 'released', 'extended', 'returned', 'exchanged', 'paid', 'paid_after_void'];
const PENDING = ['held', 'paying', 'needs_review'];
const TIMED_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const HOUR_MS = 3_600_000;

export const isFinal = (outcome: Outcome): boolean =>
  outcome.class !== 'pending' && outcome.class !== 'not_decided';

export class Tollgate {
  private readonly client: RedisClientType;
  private readonly tags: string[];
  private readonly script: { text: string; sha: string };

  private constructor(client: RedisClientType, tags: string[], text: string) {
    const sha = createHash('sha1').update(text).digest('hex');
    [this.client, this.tags, this.script] = [client, tags, { text, sha }];
  }

  /** `lookup` is the path of lookup.lua, from the release that your workers run. */
  static async open(client: RedisClientType, lookup: string, namespace = 'tollgate'): Promise<Tollgate> {
    const tags = await client.hGet(`${namespace}:meta`, 'tags');
    if (!tags) throw new Error(`namespace ${namespace} is not initialised: run \`tollgate-producer init\``);
    return new Tollgate(client, tags.split(' '), readFileSync(lookup, 'utf8'));
  }

  /** Puts a job into its stream. If this throws, send the same job again: it counts once. */
  async send(job: Job, queue = 'default'): Promise<void> {
    await this.client.xAdd(`${this.tag(job)}:queue:${queue}`, '*', { job: JSON.stringify(job) });
  }

  /** What is known of a job now. */
  async lookup(job: Job): Promise<Outcome> {
    const tag = this.tag(job);
    const keys = [`${tag}:head`, `${tag}:parked`, `${tag}:receipts:kept`];
    const nonce = randomUUID();
    let args = [nonce, job.id, '', ''];
    if (TIMED_ID.test(job.id)) {
      const hour = Math.floor(parseInt(job.id.replaceAll('-', '').slice(0, 12), 16) / HOUR_MS);
      keys.push(`${tag}:receipts:${hour}`, `${tag}:hold:${job.id}`);
      args = [nonce, job.id, String(hour), '4'];
    }
    const options = { keys, arguments: args };
    const reply = (await this.client.evalShaRo(this.script.sha, options).catch((error: Error) => {
      if (!error.message.startsWith('NOSCRIPT')) throw error;
      return this.client.evalRo(this.script.text, options);
    })) as string[];
    if (reply[0] !== nonce) throw new Error('the reply answers another call');
    if (reply[1] !== 'found') throw new Error(`${reply[1]}: ${reply[2]}`);
    return read(reply[3]);
  }

  /** Asks until the outcome is final, or for `ms`: then it answers how far the job has come. */
  async wait(job: Job, ms: number): Promise<Outcome> {
    const deadline = performance.now() + ms;
    for (let pause = 5; ; pause = Math.min(pause * 2, 250)) {
      const outcome = await this.lookup(job);
      if (isFinal(outcome) || performance.now() + pause > deadline) return outcome;
      await sleep(pause);
    }
  }

  private tag(job: Job): string {
    const resource = job.kind === 'redeem' ? job.campaign : job.account;
    return this.tags[crc16(Buffer.from(resource, 'utf8')) % this.tags.length];
  }
}

/** The outcome that one text of the reply means. */
export function read(text: string): Outcome {
  const [word, second, third, fourth, fifth] = text.split(' ');
  if (word === 'receipt') {
    const kind = APPLIED.includes(third) ? 'applied' : PENDING.includes(third) ? 'pending' : 'refused';
    return { class: kind, code: third, seq: Number(fourth) };
  }
  if (word === 'parked' && second === 'scheduled') return { class: 'pending', code: 'scheduled', seq: null };
  if (word === 'parked' && second === 'dead') return { class: 'dead', code: fifth, seq: null };
  if (word === 'expired') return { class: 'expired', code: 'id_expired', seq: null };
  if (word === 'none' || second === 'queued') return { class: 'not_decided', code: null, seq: null };
  throw new Error(`not understood: ${text}`);
}

/** CRC-16/XMODEM. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1;
  }
  return crc;
}
