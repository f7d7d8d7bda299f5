// A scenario's network inside User-Mode Linux: its build.sh is run there, and all of its packets are sent in one go.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Network, Observation, Shot } from './network.ts';

/** Whether a scenario's build.sh, or the one that it sources, asks for the guest kernel. */
export function takesGuest(folder: string): boolean {
  const script = join(folder, 'build.sh');
  if (!existsSync(script)) return false;
  const text = readFileSync(script, 'utf8');
  const base = /\/\.\.\/([\w-]+)\/build\.sh/.exec(text)?.[1];
  return text.includes('in-uml.sh') || (base !== undefined && takesGuest(join(folder, '..', base)));
}

/** Builds a network in the guest, sends the packets and halts; what is asked of the network afterwards is known already. */
export async function openGuestNetwork(script: string, shots: readonly Shot[]): Promise<Network> {
  const child = spawn('bash', [script, 'python3', '-B', join(import.meta.dirname, 'standing.py')], { env: { ...process.env, UML_LIMIT: '280' } });
  let out = '';
  let complaint = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  child.stdin.on('error', () => {}); // told by 'close'
  child.stdin.end(shots.map((shot) => `${JSON.stringify({ op: 'send', ...shot })}\n`).join(''));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const answers = out.split('\n').filter((line) => line.startsWith('{'));
  if (answers.length !== shots.length)
    throw new Error(`the guest ended with ${String(code)} after ${answers.length} of ${shots.length} answers: ${complaint.trim().slice(-2000)}`);
  const known = new Map(answers.map((line, i) => [JSON.stringify(shots[i]), line]));
  const beyond = (): never => {
    throw new Error('the guest has halted');
  };
  return {
    build: beyond,
    adopt: beyond,
    run: beyond,
    send: (shot) => {
      const { answer, error } = JSON.parse(known.get(JSON.stringify(shot)) ?? '{}') as { readonly answer?: Observation; readonly error?: string };
      return answer ? Promise.resolve(answer) : Promise.reject(new Error(error ?? 'a packet that was not sent in the guest'));
    },
    close: () => Promise.resolve(),
  };
}
